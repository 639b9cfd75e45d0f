"""Seconds of in-context learning with the demonstrations of a task read once for all its questions, and for each.

    python benchmarks/icl_prefix.py demo
    python benchmarks/icl_prefix.py ../shared/superni16 --tasks 4 --k 4

Every task's demonstrations are chosen, then its test questions are answered greedily and their first references are
scored, in both ways by turns: `shared` as the learner does it, `whole` with each prompt read from its first token. CPU
seconds are of all threads, and mean more than wall seconds on a machine that others use too. Printed beside the ratios
are the answers that differ (rounding may turn a close decision) and the largest difference of a reference's
likelihood, nats per token.
"""

from __future__ import annotations

import argparse
import sys
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from typing import Any

from evaluation_speed import Spent, whole_prompts

import inscl
from inscl.contract import Question
from inscl.contract.plan import ReplayPlan
from inscl.learners import ICL
from inscl.learners.demonstrations.choosing import SELECTIONS
from inscl.models.names import DEFAULT_MODEL
from inscl.storage.files.atomic import write_json
from inscl.storage.files.provenance import hardware

RESULTS = Path(__file__).parent / "results"


def compare(learner: ICL, stream: Any, most: int) -> dict[str, dict[str, Spent]]:
    """Both ways on every task, first one then the other in turn."""
    spent = {kind: {way: Spent() for way in ("whole", "shared")} for kind in ("answers", "likelihoods")}
    for number, task in enumerate(stream):
        questions = [Question.of(example) for example in task.test]
        references = [example.outputs[0] for example in task.test]
        asked = {
            "answers": lambda q=questions: learner.answer(q, max_new_tokens=most),
            "likelihoods": lambda q=questions, r=references: [one.loss for one in learner.log_likelihoods(q, r)],
        }
        for kind, ask in asked.items():
            for way in ("whole", "shared") if number % 2 else ("shared", "whole"):
                if way == "shared":
                    spent[kind][way].measure(ask)
                else:
                    with whole_prompts():
                        spent[kind][way].measure(ask)
        print(f"{task.name}: {len(questions)} questions", file=sys.stderr, flush=True)
    return spent


def row_of(kind: str, whole: Spent, shared: Spent) -> dict[str, Any]:
    """A row of the record."""
    row: dict[str, Any] = {
        "kind": kind,
        "questions": len(whole.found),
        "whole_cpu_seconds": round(whole.cpu, 2),
        "shared_cpu_seconds": round(shared.cpu, 2),
        "faster_cpu": round(whole.cpu / shared.cpu, 2),
        "faster_wall": round(whole.wall / shared.wall, 2),
    }
    pairs = list(zip(whole.found, shared.found, strict=True))
    if kind == "answers":
        row["prompt_tokens"] = sum(one.prompt_tokens for one in whole.found)
        row["answer_tokens"] = sum(one.answer_tokens for one in whole.found)
        row["different"] = sum(one.text != other.text for one, other in pairs)
    else:
        row["largest_difference"] = max(abs(one - other) for one, other in pairs)
    return row


def main() -> None:
    """Measure both ways and write the ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stream", help="what inscl.load_stream takes")
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--precision", default="auto", choices=("auto", "bf16", "fp32"))
    parser.add_argument("--selection", default="fixed", choices=sorted(SELECTIONS))
    parser.add_argument("--k", default="8", help="demonstrations, or fit")
    parser.add_argument("--max-length", type=int, default=2048)
    parser.add_argument("--rows", type=int, default=32, help="test questions of each task")
    parser.add_argument("--max-new-tokens", type=int, default=8, help="longest answer")
    parser.add_argument("--tasks", type=int, help="how many of the first tasks; all if not given")
    parser.add_argument("--out", type=Path, default=RESULTS / "icl_prefix.json")
    given = parser.parse_args()
    stream = inscl.load_stream({"path": given.stream, "test_per_task": given.rows, "leaks": "drop"})
    tasks = stream.tasks[: given.tasks]
    learner = ICL(
        given.model,
        k=int(given.k) if given.k.isdigit() else given.k,
        selection=given.selection,
        precision=given.precision,
        max_length=given.max_length,
        embedder="ngrams",
    )
    for task in tasks:
        learner.learn(task, ReplayPlan.nothing(task.name))
    # The first answer loads the weights and isn't timed.
    learner.answer([Question.of(tasks[0].test[0])], max_new_tokens=2)
    spent = compare(learner, tasks, given.max_new_tokens)
    rows = [row_of(kind, ways["whole"], ways["shared"]) for kind, ways in spent.items()]
    for row in rows:
        print(row)
    record = {
        "schema": 1,
        "date": datetime.now(timezone.utc).strftime("%Y-%m-%d"),
        "command": " ".join(["python benchmarks/icl_prefix.py", *sys.argv[1:]]),
        "hardware": hardware(),
        "packages": {name: version(name) for name in ("torch", "transformers")},
        "rows": rows,
    }
    write_json(given.out, record)


if __name__ == "__main__":
    main()
