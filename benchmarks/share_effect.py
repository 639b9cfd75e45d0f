"""What a larger or smaller share of the replay does to a task, from the records of a grid over a metric that is a loss.

    python benchmarks/share_effect.py benchmarks/results/bench_registered/records --method measured --equal 4

Every earlier task of every cell of the method is paired with the same task of the reference's cell of the same order
and seed. Pairs are grouped by the examples of the task that the method replayed at the last stage. Of each group:

- pairs: how many;
- gain: the method's mean perplexity gain of the task, 100 exp(expert's loss - loss at the end);
- reference: the reference's, of the same tasks;
- difference: of the two, with Student's 95 % interval over the pairs. Pairs of one cell share a model, so the interval
  is rather too narrow. It describes what happened; shares weren't drawn by chance.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from metric_noise import told

from inscl.bench.grid.records import read_records
from inscl.bench.numbers.intervals import t_interval

GROUPS = ("fewer", "equal", "more")


def gains_of(record: Mapping[str, Any], metric: str) -> list[float]:
    """The perplexity gain of each task at the end, percent."""
    return [
        100 * math.exp(expert - last)
        for expert, last in zip(record["experts"][metric], record["scores"][metric][-1], strict=True)
    ]


def pairs_of(
    records: Sequence[Mapping[str, Any]], method: str, reference: str, metric: str
) -> list[tuple[float, float, float]]:
    """(examples at the last stage, gain, gain of the reference) of each earlier task of each pair of cells."""
    cells = {(one["cell"]["method"], one["cell"]["order"], one["cell"]["seed"]): one for one in records}
    found = []
    for (name, order, seed), mine in cells.items():
        theirs = cells.get((reference, order, seed))
        if name == method and theirs is not None:
            gains, others = gains_of(mine, metric), gains_of(theirs, metric)
            shares: Mapping[str, float] = mine["allocation"][-1]
            found += [(shares[task], gains[j], others[j]) for j, task in enumerate(mine["tasks"]) if task in shares]
    return found


def rows_of(pairs: Sequence[tuple[float, float, float]], equal: float) -> list[dict[str, Any]]:
    """One row a group, of groups that hold anything."""
    rows = []
    for group in GROUPS:
        mine = [pair for pair in pairs if GROUPS[int(np.sign(pair[0] - equal)) + 1] == group]
        if mine:
            gains, others = (np.array([pair[k] for pair in mine]) for k in (1, 2))
            interval = t_interval(gains - others)
            rows.append(
                {
                    "share": group,
                    "pairs": len(mine),
                    "examples": round(float(np.mean([pair[0] for pair in mine])), 2),
                    "gain": round(float(gains.mean()), 1),
                    "reference": round(float(others.mean()), 1),
                    "difference": round(float((gains - others).mean()), 1),
                    "interval": interval and [round(interval.low, 1), round(interval.high, 1)],
                }
            )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("records", type=Path, help="the folder of records")
    parser.add_argument("--method", default="measured", help="whose shares are looked at")
    parser.add_argument("--reference", default="random", help="what it is paired with")
    parser.add_argument("--metric", default="answer_loss", help="a loss, in nats")
    parser.add_argument("--equal", type=float, required=True, help="examples of an equal share")
    parser.add_argument("--out", type=Path, help="write the rows there, as JSON")
    given = parser.parse_args()
    pairs = pairs_of(read_records(given.records), given.method, given.reference, given.metric)
    if not pairs:
        parser.error(f"no cells of {given.method} and {given.reference} share an order and a seed there")
    rows = rows_of(pairs, given.equal)
    told(rows, given.out, f"share_effect.py {given.records} --method {given.method} --equal {given.equal:g}")


if __name__ == "__main__":
    main()
