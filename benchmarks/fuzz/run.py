"""Feed the readers and the configuration with what nobody meant: at least 100,000 inputs, counted by target.

    nice -n 19 python benchmarks/fuzz/run.py benchmarks/results/fuzz.json --inputs 100000

Three makers: hypothesis (a tenth of the inputs), sound inputs with faults put in (`mutations.py`), and with
``--atheris PYTHON``, the interpreter of an environment that has the package atheris, inputs guided by which branches
they reach (a quarter of the raw files, YAML and answers). Fails if a property is broken, and says the input.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from inscl.config import kinds

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from hypothesis import HealthCheck, Phase, given, settings  # noqa: E402
from hypothesis import seed as seeded  # noqa: E402

from fuzz import inputs, mutations, settings_targets, targets  # noqa: E402

# Target -> what it is fed with, and its part of all inputs.
PARTS: dict[str, tuple[Any, int]] = {
    "json_lines": (inputs.ROWS, 10),
    "json_document": (inputs.ROWS, 6),
    "delimited": (inputs.ROWS, 10),
    "parquet": (inputs.ROWS, 5),
    "tidy": (inputs.TIDY_ROWS, 2),
    "raw_lines": (inputs.RAW, 7),
    "raw_json": (inputs.RAW, 6),
    "raw_table": (inputs.RAW, 7),
    "raw_parquet": (inputs.RAW, 4),
    "raw_yaml": (inputs.RAW, 3),
    "name": (inputs.TEXT, 6),
    "config": (inputs.CONFIG, 10),
    "yaml_text": (inputs.YAML_TEXT, 8),
    "overrides": (inputs.OVERRIDES, 6),
    "grid": (inputs.CONFIG, 3),
    "section": (inputs.CONFIG, 4),
    "llm_answer": (inputs.TEXT, 3),
    "shown_text": (inputs.TEXT, 3),
}
GUIDED = ("raw_lines", "raw_json", "raw_table", "raw_parquet", "raw_yaml", "yaml_text", "llm_answer")
TARGETS = {**targets.TARGETS, **settings_targets.TARGETS}
A_BATCH = 1000


def fuzz(name: str, strategy: Any, count: int, seed: int, most_failures: int = 5) -> dict[str, Any]:
    """Give one target `count` inputs, in batches of a seed each."""
    outcomes: Counter[str] = Counter()
    failures: list[dict[str, Any]] = []
    began, batch = time.monotonic(), 0
    with tempfile.TemporaryDirectory() as folder:
        while sum(outcomes.values()) < count and len(failures) < most_failures:
            _batch(TARGETS[name], strategy, Path(folder), seed + batch, min(A_BATCH, count), outcomes, failures)
            batch += 1
    return {
        "inputs": sum(outcomes.values()),
        "outcomes": dict(outcomes),
        "seeds": [seed, seed + batch - 1],
        "seconds": round(time.monotonic() - began, 1),
        "failures": failures,
    }


def _batch(
    target: Callable[[Any, Path], str],
    strategy: Any,
    folder: Path,
    seed: int,
    count: int,
    outcomes: Counter[str],
    failures: list[dict[str, Any]],
) -> None:
    @seeded(seed)
    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def feed(value: Any) -> None:
        _feed(target, value, folder, seed, outcomes, failures)

    feed()


def mutated(name: str, count: int, seed: int) -> dict[str, Any]:
    """The same with sound inputs that faults were put in; input k is made from the seed and k."""
    outcomes: Counter[str] = Counter()
    failures: list[dict[str, Any]] = []
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        for number in range(count):
            value = mutations.MUTATIONS[name](random.Random(f"{seed} {number}"))
            _feed(TARGETS[name], value, Path(folder), seed, outcomes, failures)
    seconds = round(time.monotonic() - began, 1)
    return {
        "inputs": count,
        "outcomes": dict(outcomes),
        "seeds": [seed, seed],
        "seconds": seconds,
        "failures": failures,
    }


def _feed(
    target: Callable[[Any, Path], str],
    value: Any,
    folder: Path,
    seed: int,
    outcomes: Counter[str],
    failures: list[dict[str, Any]],
) -> None:
    try:
        outcomes[target(value, folder)] += 1
    except Exception as error:  # noqa: BLE001 - that is what is looked for
        outcomes["broken"] += 1
        if len(failures) < 5:
            said = f"{type(error).__name__}: {error}"[:500]
            failures.append({"seed": seed, "error": said, "input": ascii(value)[:2000]})


def guided(python: str, name: str, count: int, seed: int) -> dict[str, Any]:
    """The same with inputs that atheris makes, in its own interpreter."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = [python, str(HERE / "coverage_guided.py"), name, str(count), str(seed)]
    began = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    found: dict[str, Any] = json.loads(lines[-1]) if lines else {"inputs": 0, "outcomes": {}}
    broken = [] if done.returncode == 0 else [{"seed": seed, "error": (done.stderr or done.stdout)[-1500:]}]
    return {**found, "seeds": [seed, seed], "seconds": round(time.monotonic() - began, 1), "failures": broken}


def added(before: dict[str, Any] | None, more: dict[str, Any]) -> dict[str, Any]:
    """Two counts of one target and maker as one."""
    if before is None:
        return more
    return {
        "inputs": before["inputs"] + more["inputs"],
        "outcomes": dict(Counter(before["outcomes"]) + Counter(more["outcomes"])),
        "seeds": [before["seeds"][0], more["seeds"][1]],
        "seconds": round(before["seconds"] + more["seconds"], 1),
        "failures": before["failures"] + more["failures"],
    }


def one_round(parts: dict[str, tuple[Any, int]], inputs_in_all: int, seed: int, python: str | None) -> Iterator[Any]:
    """Each target's part of so many inputs: (target, maker, counts)."""
    whole = sum(share for _, share in parts.values())
    for place, (name, (strategy, share)) in enumerate(parts.items()):
        count, own = -(-inputs_in_all * share // whole), seed + place * 1_000_000
        made = {"hypothesis": fuzz(name, strategy, count // 10, own)}
        if python and name in GUIDED:
            made["atheris"] = guided(python, name, count // 4, own + 1)
        made["mutations"] = mutated(name, count - sum(result["inputs"] for result in made.values()), own)
        for maker, result in made.items():
            yield name, maker, result


def main() -> int:
    """Fuzz everything in rounds, and write the counts after each; the same command goes on where it was."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--inputs", type=int, default=100_000, help="In all, at least.")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="*", choices=list(PARTS), help="Some targets.")
    parser.add_argument("--atheris", metavar="PYTHON", help="Interpreter of an environment with atheris.")
    asked = parser.parse_args()
    from inscl import __version__
    from inscl.storage.files.atomic import read_json, write_json
    from inscl.storage.files.provenance import hardware, now

    # What is installed doesn't change meanwhile, and looking takes longer than all else.
    kinds._entries = functools.cache(kinds._entries)
    parts = {name: part for name, part in PARTS.items() if name in (asked.only or PARTS)}
    facts = read_json(asked.out) if asked.out.exists() else {"rounds": 0, "targets": {}}
    results: dict[str, dict[str, Any]] = facts["targets"]
    for number in range(facts["rounds"], asked.rounds):
        size = -(-asked.inputs // asked.rounds)
        for name, maker, result in one_round(parts, size, asked.seed + 1000 * number, asked.atheris):
            key = f"{name}, {maker}"
            results[key] = added(results.get(key), result)
        facts = {
            "command": f"python benchmarks/fuzz/run.py OUT --inputs {asked.inputs} --seed {asked.seed}"
            + (" --atheris PYTHON" if asked.atheris else ""),
            "date": now(),
            "inscl": __version__,
            "hardware": hardware(),
            "rounds": number + 1,
            "inputs": sum(result["inputs"] for result in results.values()),
            "by_maker": dict(_by_maker(results)),
            "broken": sum(result["outcomes"].get("broken", 0) for result in results.values()),
            "targets": results,
        }
        write_json(asked.out, facts)
        print(f"round {number + 1}: {facts['inputs']} inputs, {facts['broken']} broken", flush=True)
    return 1 if any(result["failures"] for result in results.values()) else 0


def _by_maker(results: dict[str, dict[str, Any]]) -> Counter[str]:
    counts: Counter[str] = Counter()
    for key, result in results.items():
        counts[key.rpartition(", ")[2]] += result["inputs"]
    return counts


if __name__ == "__main__":
    sys.exit(main())
