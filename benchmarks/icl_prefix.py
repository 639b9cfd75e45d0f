"""Seconds of in-context learning with the demonstrations of a task read once for all its questions, and for each.

    python benchmarks/icl_prefix.py demo
    python benchmarks/icl_prefix.py ../shared/superni16 --tasks 4 --k 4

Every task's demonstrations are chosen, then its test questions are answered greedily and their first references are
scored, in both ways by turns: `packed` as the learner does it, `padded` with each prompt read from its first token. CPU
seconds are of all threads, and mean more than wall seconds on a machine that others use too. Printed beside the ratios
are the answers that differ (rounding may turn a close decision) and the largest difference of a reference's
likelihood, nats per token.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from evaluation_speed import compare, row_of, write_record

import inscl
from inscl.contract import Question
from inscl.contract.plan import ReplayPlan
from inscl.learners import ICL
from inscl.learners.demonstrations.choosing import SELECTIONS
from inscl.models.names import DEFAULT_MODEL

RESULTS = Path(__file__).parent / "results"


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
    write_record(given.out, [row_of(kind, ways["padded"], ways["packed"]) for kind, ways in spent.items()])


if __name__ == "__main__":
    main()
