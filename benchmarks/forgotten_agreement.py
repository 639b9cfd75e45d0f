"""How far the check of attempts agrees with labels given on reading, as Markdown.

python benchmarks/forgotten_agreement.py RUN [STREAM]

RUN is the run folder that benchmarks/results/forgotten_hand_read.json was read from; STREAM, if given, is the stream
whose train references teach the check instead of the examples that the run learned. The texts are taken from the run:
the file holds ids and labels alone, since some sources allow no more. Writes to standard output.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from datetime import date
from pathlib import Path

from sklearn.metrics import cohen_kappa_score

from inscl.data import load_stream
from inscl.evaluation.attempts import AttemptCheck
from inscl.forgetting import kept_examples
from inscl.reports.load import load_run

READ = Path(__file__).parent / "results" / "forgotten_hand_read.json"


def main(folder: str, stream: str | None = None) -> None:
    run = load_run(Path(folder))
    given = None if stream is None else load_stream(stream, leaks="allow")
    examples = kept_examples(run) if given is None else [example for task in given for example in task.train]
    check = AttemptCheck(examples)
    rows = []
    for case in json.loads(READ.read_text(encoding="utf-8"))["cases"]:
        answers = run.stages[case["stage"] - 1].predictions(case["task"]) or {}
        row = answers[case["id"], 0]
        verdict = check(row.prediction, case["task"], row.instruction, row.references)
        last = case["stage"] == run.learned
        rows.append((case["related"], verdict.related, verdict.reason, last, case["task"]))

    command = " ".join(["python", "benchmarks/forgotten_agreement.py", *sys.argv[1:]])
    print(f"Made on {date.today()} by `{command}`, from {len(examples):,} train references.\n")
    print("| cases | n | read as related | by the check | accuracy | kappa |\n|---|---|---|---|---|---|")
    line("all", rows)
    line("last stage", [row for row in rows if row[3]])
    line("without Code", [row for row in rows if row[4] != "Code"])
    for reason in sorted({row[2] for row in rows}):
        line(f"decided by {reason}", [row for row in rows if row[2] == reason])
    counts = Counter((hand, said) for hand, said, *_ in rows)
    print(f"\nRead as related, unrelated by the check: {counts[True, False]}; the other way: {counts[False, True]}.")


def line(name: str, rows: list[tuple[bool, bool, str, bool, str]]) -> None:
    hand, said = [row[0] for row in rows], [row[1] for row in rows]
    accuracy = sum(a == b for a, b in zip(hand, said, strict=True)) / len(rows)
    # One class on both sides leaves nothing for kappa to correct.
    kappa = f"{cohen_kappa_score(hand, said):.2f}" if len({*hand, *said}) > 1 else "–"
    print(f"| {name} | {len(rows)} | {sum(hand)} | {sum(said)} | {accuracy:.2f} | {kappa} |")


if __name__ == "__main__":
    main(*sys.argv[1:])
