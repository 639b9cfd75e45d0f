"""Seconds of evaluation with prompts in rows without padding, shared beginnings once; and padded to the same length.

    python benchmarks/evaluation_speed.py ../shared/superni16
    python benchmarks/evaluation_speed.py demo --rows 20 --precision fp32

Each task's test rows are answered greedily, their first reference is scored, and an option is chosen where they have
options, in each way by turns. `padded` is how batches are usually made: prompts of similar length together, each read
from its first token (once for all options of a question). `packed` asks for each of the three as if nothing else were
asked; the rows "after answers" and "all" are of one pass, as an evaluation makes it, in which each prompt is read once
and kept for what is asked next. CPU seconds are of all threads, and mean more than wall
seconds on a machine that others use too. Printed beside the ratios are the answers that differ (rounding may turn a
close decision), and the largest difference of a reference's likelihood (nats per token) and of an option's logarithmic
probability.

A processor with AVX2 alone is emulated, as far as its instructions go, on one that has more; the record says so:

    export ONEDNN_MAX_CPU_ISA=AVX2 ATEN_CPU_CAPABILITY=avx2 MKL_ENABLE_INSTRUCTIONS=AVX2
    python benchmarks/evaluation_speed.py demo --rows 20 --precision fp32
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from typing import Any

import inscl
from inscl.contract import Answer, Question, Task
from inscl.contract.traits import LearnerTraits, traits_of
from inscl.learners import FineTune
from inscl.models import decoding, likelihoods, shared_prefixes
from inscl.models.names import DEFAULT_MODEL
from inscl.storage.files.atomic import write_json
from inscl.storage.files.provenance import hardware

RESULTS = Path(__file__).parent / "results"
KINDS = ("answers", "likelihoods", "choices")


@dataclass
class Spent:
    """Seconds of one way, all threads and by the clock."""

    cpu: float = 0.0
    wall: float = 0.0
    found: list[Any] = field(default_factory=list)

    def measure(self, ask: Callable[[], Sequence[Any]]) -> None:
        """Add what `ask` takes, and what it finds."""
        cpu, wall = time.process_time(), time.perf_counter()
        self.found += ask()
        self.cpu += time.process_time() - cpu
        self.wall += time.perf_counter() - wall


@contextmanager
def padded_prompts() -> Iterator[None]:
    """Within this block nothing is packed or shared, as for a model that would count the padding."""
    rooms: list[tuple[Any, str]] = [
        (shared_prefixes, "attends_to_all"),
        (decoding, "reads_packed"),
        (likelihoods, "reads_packed"),
    ]
    allowed = [getattr(room, name) for room, name in rooms]
    for room, name in rooms:
        setattr(room, name, lambda model: False)
    try:
        yield
    finally:
        for (room, name), one in zip(rooms, allowed, strict=True):
            setattr(room, name, one)


def compare(
    learner: Any, tasks: Sequence[Task], most: int, kinds: Sequence[str] = KINDS[:2]
) -> dict[str, dict[str, Spent]]:
    """Kind -> way -> what it took on all tasks, one way after the other in turn."""
    ways: dict[str, Callable[[], AbstractContextManager[None]]] = {"padded": padded_prompts, "packed": nullcontext}
    if traits_of(learner, LearnerTraits).keeps_prompts:
        ways["pass"] = learner.keeping_prompts
    spent = {kind: {way: Spent() for way in ways} for kind in kinds}
    for number, task in enumerate(tasks):
        questions = [Question.of(example) for example in task.test]
        references = [example.outputs[0] for example in task.test]

        def answers(asked: Sequence[Question] = questions) -> list[Answer]:
            return list(learner.answer(asked, max_new_tokens=most))

        def scored(asked: Sequence[Question] = questions, given: Sequence[str] = references) -> list[float]:
            return [one.loss for one in learner.log_likelihoods(asked, given)]

        def chosen(asked: Sequence[Question] = questions) -> list[tuple[float, ...]]:
            return list(learner.choose([question for question in asked if question.options]))

        asking: dict[str, Callable[[], Sequence[Any]]] = dict(zip(KINDS, (answers, scored, chosen), strict=True))
        for way in list(ways)[:: 1 if number % 2 else -1]:
            with ways[way]():
                for kind in kinds:
                    spent[kind][way].measure(asking[kind])
        print(f"{task.name}: {len(questions)} rows", file=sys.stderr, flush=True)
    return spent


def ratios_of(kind: str, padded: Spent, packed: Spent) -> dict[str, Any]:
    """Seconds of both ways, and their ratios."""
    return {
        "kind": kind,
        "padded_cpu_seconds": round(padded.cpu, 2),
        "packed_cpu_seconds": round(packed.cpu, 2),
        "faster_cpu": round(padded.cpu / packed.cpu, 2),
        "faster_wall": round(padded.wall / packed.wall, 2),
    }


def row_of(kind: str, padded: Spent, packed: Spent) -> dict[str, Any]:
    """A row of the record: seconds of both ways, their ratios, and how far apart what they found is."""
    row = {**ratios_of(kind, padded, packed), "questions": len(padded.found)}
    pairs = list(zip(padded.found, packed.found, strict=True))
    if kind == "answers":
        row["prompt_tokens"] = sum(one.prompt_tokens for one in padded.found)
        row["answer_tokens"] = sum(one.answer_tokens for one in padded.found)
        row["different"] = sum(one.text != other.text for one, other in pairs)
    elif kind == "likelihoods":
        row["largest_difference"] = max(abs(one - other) for one, other in pairs)
    else:
        row["options"] = sum(map(len, padded.found))
        row["different"] = sum(one.index(max(one)) != other.index(max(other)) for one, other in pairs)
        row["largest_difference"] = max(abs(p - q) for one, other in pairs for p, q in zip(one, other, strict=True))
    return row


def pass_rows(spent: Mapping[str, Mapping[str, Spent]]) -> list[dict[str, Any]]:
    """Rows of a whole pass, in which each prompt is read once: what comes after the answers, and all of it."""
    after = [row_of(kind, ways["padded"], ways["pass"]) for kind, ways in spent.items() if kind != "answers"]
    padded, kept = (
        Spent(sum(ways[way].cpu for ways in spent.values()), sum(ways[way].wall for ways in spent.values()))
        for way in ("padded", "pass")
    )
    return [*({**row, "kind": f"{row['kind']} after answers"} for row in after), ratios_of("all", padded, kept)]


def emulated() -> dict[str, str]:
    """The instructions that oneDNN is held to, if the environment says so."""
    held_to = os.environ.get("ONEDNN_MAX_CPU_ISA")
    return {"emulated": held_to} if held_to else {}


def write_record(out: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Print the rows, and write them with the command, date and hardware that made them."""
    for row in rows:
        print(row)
    record = {
        "schema": 1,
        "date": datetime.now(timezone.utc).strftime("%Y-%m-%d"),
        "command": " ".join([f"python benchmarks/{Path(sys.argv[0]).name}", *sys.argv[1:]]),
        "hardware": {**hardware(), **emulated()},
        "packages": {name: version(name) for name in ("torch", "transformers")},
        "rows": rows,
    }
    write_json(out, record)


def main() -> None:
    """Measure both ways and write the ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stream", help="what inscl.load_stream takes")
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--precision", default="auto", choices=("auto", "bf16", "fp32"))
    parser.add_argument("--rows", type=int, default=48, help="test rows of each task")
    parser.add_argument("--max-new-tokens", type=int, default=16, help="longest answer: a model as it came rarely ends")
    parser.add_argument("--batch-size", type=int, default=32, help="prompts at a time")
    parser.add_argument("--tasks", type=int, help="how many of the first tasks; all if not given")
    parser.add_argument("--out", type=Path, default=RESULTS / "evaluation_speed.json")
    given = parser.parse_args()
    if given.rows < 1:
        parser.error("--rows: expected at least 1")
    stream = inscl.load_stream({"path": given.stream, "test_per_task": given.rows, "leaks": "drop"})
    tasks = stream.tasks[: given.tasks]
    learner = FineTune(given.model, precision=given.precision, generation_batch_size=given.batch_size)
    # The first answer loads the weights and isn't timed.
    learner.answer([Question.of(tasks[0].test[0])], max_new_tokens=2)
    spent = compare(learner, tasks, given.max_new_tokens, KINDS)
    measured = {kind: ways for kind, ways in spent.items() if ways["padded"].found}
    alone = [row_of(kind, ways["padded"], ways["packed"]) for kind, ways in measured.items()]
    write_record(given.out, [*alone, *pass_rows(measured)])


if __name__ == "__main__":
    main()
