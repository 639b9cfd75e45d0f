"""The comparisons of docs/registered.md, decided by its rules from the records there are.

    python benchmarks/registered.py benchmarks/results/bench_registered/records --out registered.json

A is decided at the level of one of two looks, 97.5 %. B to E are tested by Holm's procedure at 5 %: the smallest p
value of the four must lie below 1/4 of 5 %, the next below 1/3, and so on until one doesn't; a comparison without pairs
counts among the four. Each comparison is of cells of the same order and seed. Methods that share their learner are
compared by the final perplexity gain, in points; others by average performance, in nats, of which less is better.

- p: Student's t test of the paired differences;
- t, bootstrap: intervals of their mean, at 97.5 % for A and at Holm's level of its step for the others;
- verdict: better or worse if both intervals lie on one side of 0; "no difference shown" otherwise, and for all steps
  of Holm's procedure after the first that shows none;
- medians: of the two methods.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from metric_noise import told

from inscl.bench.grid.records import read_records
from inscl.bench.numbers.intervals import bootstrap_interval, t_interval
from inscl.bench.numbers.observations import Observation, observe

ALPHA, LOOKS = 0.05, 2
GAIN, LOSS = "perplexity_gain_final", "average_performance"
COMPARISONS = {
    "A": ("measured", "random", GAIN),
    "B": ("measured, averaged", "random, averaged", GAIN),
    "C": ("random, averaged", "random", LOSS),
    "D": ("measured, averaged", "random", LOSS),
    "E": ("inscl", "random", GAIN),
}
"""Letter -> the method, what it is compared with, and by which measure."""


def pairs_of(cells: Sequence[Observation], method: str, other: str, measure: str) -> list[tuple[float, float]]:
    """The two numbers of each pair of cells that share order and seed."""
    theirs = {cell.pairing: cell.measures[measure] for cell in cells if cell.method == other}
    found = [(cell.measures[measure], theirs.get(cell.pairing)) for cell in cells if cell.method == method]
    return [(one, its) for one, its in found if one is not None and its is not None]


def p_value(differences: Sequence[float]) -> float:
    """Of Student's two-sided t test against 0."""
    from scipy.stats import ttest_1samp

    return float(ttest_1samp(differences, 0.0).pvalue)


def decided(letter: str, pairs: Sequence[tuple[float, float]], alpha: float, open_: bool = True) -> dict[str, Any]:
    """One comparison at a level; where it isn't `open_`, an earlier step of Holm's procedure has ended the testing."""
    method, other, measure = COMPARISONS[letter]
    differences = [one - its for one, its in pairs]
    t, bootstrap = t_interval(differences, 1 - alpha), bootstrap_interval(differences, level=1 - alpha)
    if t is None or bootstrap is None:
        raise LookupError(letter)
    mean, digits = float(np.mean(differences)), 1 if measure == GAIN else 3
    shown = open_ and t.excludes_zero and bootstrap.excludes_zero
    better = mean > 0 if measure == GAIN else mean < 0
    return {
        "comparison": letter,
        "method": method,
        "minus": other,
        "measure": measure,
        "pairs": len(pairs),
        "mean": round(mean, digits),
        "p": float(f"{p_value(differences):.2g}"),
        "level": round(100 * (1 - alpha), 2),
        "t": [round(t.low, digits), round(t.high, digits)],
        "bootstrap": [round(bootstrap.low, digits), round(bootstrap.high, digits)],
        "verdict": ("better" if better else "worse") if shown else "no difference shown",
        "medians": [round(float(np.median([pair[k] for pair in pairs])), digits) for k in (0, 1)],
    }


def rows_of(records: Sequence[Mapping[str, Any]], metric: str = "answer_loss") -> list[dict[str, Any]]:
    """A row for each comparison that has two pairs or more, A first, then by their p values."""
    cells = observe(records, metric)[1]
    pairs = {letter: pairs_of(cells, *sides) for letter, sides in COMPARISONS.items()}
    pairs = {letter: found for letter, found in pairs.items() if len(found) > 1}
    rows = [decided("A", pairs.pop("A"), ALPHA / LOOKS)] if "A" in pairs else []
    left, open_ = len(COMPARISONS) - 1, True
    for letter in sorted(pairs, key=lambda one: p_value([a - b for a, b in pairs[one]])):
        rows.append(decided(letter, pairs[letter], ALPHA / left, open_))
        left, open_ = left - 1, rows[-1]["verdict"] != "no difference shown"
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("records", type=Path, help="the folder of records")
    parser.add_argument("--out", type=Path, help="write the rows there, as JSON")
    given = parser.parse_args()
    records = read_records(given.records)
    rows = rows_of(records) if records else []
    if not rows:
        parser.error("no comparison has two pairs of cells there")
    told(rows, given.out, f"registered.py {given.records}")


if __name__ == "__main__":
    main()
