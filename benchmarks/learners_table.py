"""One table of a grid's records whose rows are different learners: scores, forgetting and costs, compared by question.

    python benchmarks/learners_table.py runs/bench/demo_learners/records --reference none

A score is that of the model after its last stage: the mean over tasks of what each question got, and over seeds where a
row has several. Brackets hold 95 % percentile bootstrap intervals that draw questions within each task anew; for a
difference, the same questions of both rows. With one seed they say how sure the score of *this* run is, and nothing
about other seeds. Forgetting is the mean, over all tasks but the last, of the score right after the task less the last
one, on the questions that were asked both times. The second table has what each row costs, as its record has it.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inscl.storage.files.atomic import read_json

RESAMPLES = 5_000
DIGITS = {"lower": 2, "higher": 1}

Record = Mapping[str, Any]
Scores = Mapping[str, Mapping[str, float]]
"""Task -> id of a question -> what it got, in the unit of the table."""


def rows_of(folders: Sequence[Path]) -> dict[str, list[Record]]:
    """Name of a row -> the records of its seeds, in the order of seeds."""
    found: dict[str, list[Record]] = {}
    files = {file.name: file for folder in folders for file in folder.glob("*.json")}  # a record is named by its key
    for record in sorted(map(read_json, files.values()), key=lambda one: one["cell"]["seed"]):
        found.setdefault(record["cell"]["method"], []).append(record)
    return found


def scores_of(record: Record, metric: str) -> Scores:
    """What each question got after the last stage; nothing for tasks that the metric isn't defined for."""
    unit = 100.0 if record["metrics"][metric]["better"] == "higher" else 1.0
    found = {}
    for task, asked in record["questions"].items():
        pairs = zip(asked["ids"], asked["scores"].get(metric, ()), strict=False)
        if own := {one: unit * score for one, score in pairs if score is not None}:
            found[task] = own
    return found


def less(first: Scores, second: Scores) -> Scores:
    """By how much the first is higher, on the questions that both have."""
    found = {
        task: {one: score - second[task][one] for one, score in own.items() if one in second[task]}
        for task, own in first.items()
        if task in second
    }
    return {task: own for task, own in found.items() if own}


def interval(seeds: Sequence[Scores]) -> tuple[float, float, float]:
    """The mean over tasks and seeds, and the ends of its interval: questions are drawn within each task."""
    rng = np.random.default_rng(0)
    drawn: list[NDArray[np.float64]] = []
    means = []
    for tasks in seeds:
        values = [np.array(list(own.values())) for own in tasks.values()]
        means.append(fmean(float(one.mean()) for one in values))
        resampled = [one[rng.integers(len(one), size=(RESAMPLES, len(one)))].mean(axis=1) for one in values]
        drawn.append(np.mean(resampled, axis=0))
    low, high = np.percentile(np.mean(drawn, axis=0), [2.5, 97.5])
    return fmean(means), float(low), float(high)


def forgetting(record: Record, metric: str) -> float | None:
    """Points lost since each task was learned, the last one left aside; None where it was all learned at once."""
    matrix = record["scores"][metric]
    better = 1 if record["metrics"][metric]["better"] == "higher" else -1
    # Row 0 is the base model; where the base wasn't asked, it is empty.
    lost = [
        better * (matrix[stage][stage - 1] - matrix[-1][stage - 1])
        for stage in range(1, len(matrix) - 1)
        if matrix[stage][stage - 1] is not None and matrix[-1][stage - 1] is not None
    ]
    return fmean(lost) if lost else None


def told(found: tuple[float, float, float], digits: int, sign: bool = False) -> str:
    mean, low, high = (f"{value:.{digits}f}".replace("-", "−") for value in found)
    return f"{'+' if sign and found[0] > 0 else ''}{mean} ({low} to {high})"


def compared(rows: Mapping[str, Sequence[Record]], reference: str, metrics: Sequence[str]) -> list[list[str]]:
    """A line a row: its scores, and by how much they differ from the reference's of the same seeds."""
    lines = []
    base = {record["cell"]["seed"]: record for record in rows[reference]}
    for name, records in rows.items():
        line = [name, str(len(records))]
        paired = [record for record in records if record["cell"]["seed"] in base]
        for metric in metrics:
            digits = DIGITS[records[0]["metrics"][metric]["better"]]
            line.append(told(interval([scores_of(record, metric) for record in records]), digits))
            apart = [
                less(scores_of(record, metric), scores_of(base[record["cell"]["seed"]], metric)) for record in paired
            ]
            known = name != reference and apart and all(apart)
            line.append(told(interval(apart), digits, sign=True) if known else "")
        lost = [one for record in records if (one := forgetting(record, metrics[0])) is not None]
        lines.append([*line, f"{fmean(lost):.1f}".replace("-", "−") if lost else "–"])
    return lines


def costs(rows: Mapping[str, Sequence[Record]]) -> list[list[str]]:
    """A line a row: tokens trained on, prompt tokens and seconds an answer, bytes of the last state for each task."""
    lines = []
    for name, records in rows.items():
        cost = [record["cost"] for record in records]
        size = [one["state_bytes"] / len(record["tasks"]) for one, record in zip(cost, records, strict=True)]
        tokens = [one["tokens"] for one in cost]
        read = [one["prompt_tokens_per_answer"] for one in cost]
        seconds = [one["seconds_per_answer"] for one in cost]
        lines.append(
            [name, f"{fmean(tokens):,.0f}", f"{fmean(read):.0f}", f"{fmean(seconds):.2f}", f"{fmean(size):,.0f}"]
        )
    return lines


def shown(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    ruler = "|".join(["---", *["--:"] * (len(head) - 1)])
    return "\n".join([f"| {' | '.join(head)} |", f"|{ruler}|", *(f"| {' | '.join(line)} |" for line in lines)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("records", type=Path, nargs="+", help="folders of records")
    parser.add_argument("--reference", required=True, help="the row that the others are compared with")
    parser.add_argument("--metrics", nargs="+", default=["exact_match", "choice_accuracy", "answer_loss"])
    parser.add_argument("--rows", nargs="+", help="only these, in this order")
    parser.add_argument("--seeds", type=int, nargs="+", help="only these")
    given = parser.parse_args()
    rows = rows_of(given.records)
    wanted = {name: rows[name] for name in given.rows or rows}
    if given.seeds:
        wanted = {name: [one for one in own if one["cell"]["seed"] in given.seeds] for name, own in wanted.items()}
    head = ["row", "seeds"]
    for metric in given.metrics:
        head += [metric, f"less {given.reference}"]
    print(shown([*head, f"forgetting, {given.metrics[0]}"], compared(wanted, given.reference, given.metrics)))
    print()
    print(
        shown(["row", "training tokens", "prompt tokens an answer", "seconds an answer", "bytes a task"], costs(wanted))
    )


if __name__ == "__main__":
    main()
