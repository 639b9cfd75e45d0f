"""Questions with options asked one at a time and all together: seconds, their ratio, and how far the answers differ.

    python benchmarks/choose_speed.py                          # 60 questions of the demo's task grade_review
    python benchmarks/choose_speed.py --questions 8 --repeats 1  # a quick look

Both ways ask the same model by turns, in float32, after a first question that isn't timed. CPU seconds are of all
threads, and mean more than wall seconds on a machine that others use too.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import inscl
from inscl.contract import Question
from inscl.learners import FineTune
from inscl.storage.files.atomic import write_json
from inscl.storage.files.provenance import hardware, now, packages

Chosen = list[tuple[float, ...]]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="smollm2-135m")
    parser.add_argument("--stream", default="demo")
    parser.add_argument("--task", default="grade_review", help="A task whose questions have options.")
    parser.add_argument("--questions", type=int, default=60)
    parser.add_argument("--batch-size", type=int, default=32, help="Options at a time.")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "choose_speed.json")
    given = parser.parse_args()
    tasks = {task.name: task for task in inscl.load_stream(given.stream)}
    questions = [Question.of(example) for example in tasks[given.task].test[: given.questions]]
    learner = FineTune(given.model, precision="fp32", generation_batch_size=given.batch_size)
    learner.choose(questions[:1])
    ways: dict[str, Callable[[], Chosen]] = {
        "one at a time": lambda: [row for question in questions for row in learner.choose([question])],
        "together": lambda: learner.choose(questions),
    }
    seconds: dict[str, list[tuple[float, float]]] = {way: [] for way in ways}
    answers: dict[str, Chosen] = {}
    for _ in range(given.repeats):
        for way, ask in ways.items():
            began = time.process_time(), time.perf_counter()
            answers[way] = ask()
            seconds[way].append((time.process_time() - began[0], time.perf_counter() - began[1]))
    alone, together = (_least(seconds[way]) for way in ways)
    record = {
        "schema": 1,
        "created": now(),
        "hardware": hardware(),
        "packages": packages(),
        "model": given.model,
        "questions": len(questions),
        "options": sum(len(question.options) for question in questions),
        "batch size": given.batch_size,
        "least seconds, CPU and wall": {"one at a time": alone, "together": together},
        "times as fast, CPU and wall": [round(one / other, 2) for one, other in zip(alone, together, strict=True)],
        "largest difference of a log-probability": _apart(*answers.values()),
    }
    write_json(given.out, record)
    print(json.dumps({key: value for key, value in record.items() if key not in ("hardware", "packages")}, indent=1))
    return 0


def _least(rounds: Sequence[tuple[float, float]]) -> list[float]:
    """The least CPU and wall seconds of several rounds."""
    return [round(min(taken), 3) for taken in zip(*rounds, strict=True)]


def _apart(some: Chosen, others: Chosen) -> float:
    pairs = zip(some, others, strict=True)
    return max(abs(one - other) for a, b in pairs for one, other in zip(a, b, strict=True))


if __name__ == "__main__":
    sys.exit(main())
