"""How far the check of attempts, or a judge, agrees with labels given on reading, as Markdown.

python benchmarks/forgotten_agreement.py RUN [STREAM] [--judge MODEL [--base-url URL] [--api-key-env NAME]]

RUN is the run folder that benchmarks/results/forgotten_hand_read.json was read from; STREAM, if given, is the stream
whose train references teach the check instead of the examples that the run learned. With --judge a chat model behind an
OpenAI-compatible address is asked about the same cases; its key is read from the environment. The texts are taken from
the run: the file holds ids and labels alone, since some sources allow no more. Writes to standard output, the cost of
judging to standard error.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from sklearn.metrics import cohen_kappa_score

from inscl.data import load_stream
from inscl.forgetting.attempts import AttemptCheck
from inscl.forgetting.judge import LLMJudge
from inscl.forgetting.run_attempts import kept_examples
from inscl.storage.run.finished_run import Run, load_run

READ = Path(__file__).parent / "results" / "forgotten_hand_read.json"


@dataclass(frozen=True)
class Read:
    """A case that was read: what was asked and answered, and whether the reader called it related."""

    task: str
    instruction: str
    input: str
    references: Sequence[str]
    answer: str
    last: bool
    related: bool


@dataclass(frozen=True)
class Compared:
    """What the reader and the other one say of a case; `by` is what decided."""

    case: Read
    said: bool
    by: str


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("stream", nargs="?")
    parser.add_argument("--judge", metavar="MODEL")
    parser.add_argument("--base-url")
    parser.add_argument("--api-key-env", default="OPENAI_API_KEY")
    given = parser.parse_args(arguments)
    run = load_run(given.run)
    cases = list(read_cases(run))
    command = " ".join(["python", "benchmarks/forgotten_agreement.py", *arguments])

    rows, references = checked(run, cases, given.stream)
    print(f"Made on {date.today()} by `{command}`, from {references:,} train references.\n")
    table("the check", rows)
    if given.judge:
        judge = LLMJudge(given.judge, given.base_url, api_key_env=given.api_key_env)
        asked = [(case.instruction, case.input, case.answer) for case in cases]
        print(f"judging by {given.judge}: {judge.estimate(asked)}", file=sys.stderr)
        said = judge(asked)
        print(f"\nThe same cases judged by {given.judge}:\n")
        table(given.judge, [Compared(case, yes, "judge") for case, yes in zip(cases, said, strict=True)])


def read_cases(run: Run) -> Iterable[Read]:
    for case in json.loads(READ.read_text(encoding="utf-8"))["cases"]:
        answers = run.stages[case["stage"] - 1].predictions(case["task"]) or {}
        row = answers[case["id"], 0]
        last = case["stage"] == run.learned
        yield Read(case["task"], row.instruction, row.input, row.references, row.prediction, last, case["related"])


def checked(run: Run, cases: Iterable[Read], stream: str | None) -> tuple[list[Compared], int]:
    given = None if stream is None else load_stream(stream, leaks="allow")
    examples = kept_examples(run) if given is None else [example for task in given for example in task.train]
    check = AttemptCheck(examples)
    rows = []
    for case in cases:
        verdict = check(case.answer, case.task, case.instruction, case.references)
        rows.append(Compared(case, verdict.related, verdict.reason))
    return rows, len(examples)


def table(by: str, rows: Sequence[Compared]) -> None:
    print(f"| cases | n | read as related | by {by} | accuracy | kappa |\n|---|---|---|---|---|---|")
    line("all", rows)
    line("last stage", [row for row in rows if row.case.last])
    line("without Code", [row for row in rows if row.case.task != "Code"])
    reasons = sorted({row.by for row in rows})
    for reason in reasons if len(reasons) > 1 else []:
        line(f"decided by {reason}", [row for row in rows if row.by == reason])
    counts = Counter((row.case.related, row.said) for row in rows)
    print(f"\nRead as related, unrelated by {by}: {counts[True, False]}; the other way: {counts[False, True]}.")


def line(name: str, rows: Sequence[Compared]) -> None:
    hand, said = [row.case.related for row in rows], [row.said for row in rows]
    accuracy = sum(a == b for a, b in zip(hand, said, strict=True)) / len(rows)
    # One class on both sides leaves nothing for kappa to correct.
    kappa = f"{cohen_kappa_score(hand, said):.2f}" if len({*hand, *said}) > 1 else "–"
    print(f"| {name} | {len(rows)} | {sum(hand)} | {sum(said)} | {accuracy:.2f} | {kappa} |")


if __name__ == "__main__":
    main(sys.argv[1:])
