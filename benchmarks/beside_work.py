"""Training speed alone and beside a busy process, with threads that sleep while they wait and with threads that spin.

    python benchmarks/beside_work.py
    python benchmarks/beside_work.py --steps 4 --precision fp32

The threads of one matrix product wait for each other many times a second. By default they spin while they wait; if
another process holds the core that the last of them needs, the others burn theirs. `inscl` therefore asks for threads
that sleep (``OMP_WAIT_POLICY=PASSIVE``) unless the environment says something else. Each figure comes from a process of
its own, by turns; tokens are prompt and answer, per second by the clock, the first step left out.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from time import perf_counter
from typing import Any

import inscl
from inscl.contract import Task
from inscl.contract.plan import ReplayPlan
from inscl.learners import FineTune
from inscl.models.names import DEFAULT_MODEL
from inscl.storage.files.atomic import write_json
from inscl.storage.files.provenance import hardware

RESULTS = Path(__file__).parent / "results"
# What GNU's OpenMP does when nothing is said: so many looks at the barrier before a thread sleeps.
WAYS = {"sleeping": {}, "spinning": {"GOMP_SPINCOUNT": "300000"}}


def trained(model: str, precision: str, steps: int) -> float:
    """Tokens per second of a short training in this process."""
    from transformers import TrainerCallback

    marks: list[float] = []

    class Mark(TrainerCallback):
        def on_step_end(self, *_: Any, **__: Any) -> None:
            marks.append(perf_counter())

    examples = tuple(inscl.load_stream("demo").tasks[0].train[: 4 * steps])
    learner = FineTune(model, precision=precision, epochs=1, batch_size=4, batching="pack", callbacks=[Mark()])
    report = learner.learn(Task("speed", examples), ReplayPlan.nothing("speed"))
    return (report.tokens or 0) * (steps - 1) / steps / (marks[-1] - marks[0])


@contextmanager
def busy_process() -> Iterator[None]:
    """A process that does nothing but hold a core."""
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield
    finally:
        process.kill()
        process.wait()


def main() -> None:
    """Measure both ways, alone and beside the busy process."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--precision", default="auto", choices=("auto", "bf16", "fp32"))
    parser.add_argument("--steps", type=int, default=12, help="at least 2: the first isn't timed")
    parser.add_argument("--threads", nargs="+", choices=WAYS, default=list(WAYS), help="default: both")
    parser.add_argument("--here", action="store_true", help="train in this process and print the tokens per second")
    parser.add_argument("--out", type=Path, default=RESULTS / "beside_work.json")
    given = parser.parse_args()
    if given.steps < 2:
        parser.error("--steps: expected at least 2, since the first step isn't timed")
    if given.here:
        print(json.dumps(trained(given.model, given.precision, given.steps)))
        return
    command = [sys.executable, __file__, "--here", "--model", given.model, "--precision", given.precision]

    def measured(way: dict[str, str]) -> float:
        done = subprocess.run(
            [*command, "--steps", str(given.steps)],
            env={**os.environ, **way},
            check=True,
            capture_output=True,
            text=True,
        )
        return float(json.loads(done.stdout.strip().splitlines()[-1]))

    rows = []
    for name in given.threads:
        way = WAYS[name]
        alone = measured(way)
        with busy_process():
            beside = measured(way)
        row = {"threads": name, "alone": alone, "beside": beside, "kept": beside / alone}
        rows.append({key: value if isinstance(value, str) else round(value, 3) for key, value in row.items()})
        print(f"{name} threads: {alone:.0f} tokens/s alone, {beside:.0f} beside a busy process, {beside / alone:.2f}")
    write_json(
        given.out,
        {
            "schema": 1,
            "date": datetime.now(timezone.utc).strftime("%Y-%m-%d"),
            "command": " ".join(["python benchmarks/beside_work.py", *sys.argv[1:]]),
            "hardware": hardware(),
            "packages": {name: version(name) for name in ("torch", "transformers")},
            "rows": rows,
        },
    )


if __name__ == "__main__":
    main()
