"""What each lever of an instrument does to its noise, from the records of a grid over a metric that is a loss.

    python benchmarks/levers.py benchmarks/results/bench_registered/records --out levers.json

Of every method and order with two seeds or more, each number below is computed for each cell, over its earlier tasks as
Relative Gain is. Of each setting:

- noise: root mean square of the difference of two cells that differ in the seed alone, in points;
- signal: the same root mean square over pairs of methods of the mean difference by order, or joint training minus No
  Replay where both are there; in points;
- ratio: signal over noise.

The settings:

- measure: the mean of ratios of perplexities, or the pooled ratio, over experts of the same seed;
- experts: the same against the mean loss of all experts of a task, over seeds and methods;
- questions: the same with the first 15 or 30 test questions of each task at the end, where records hold questions;
- shared chance: the deviation of the difference of two methods over the seeds of an order, paired by seed, beside what
  it would be if seeds were drawn anew for each method. This one is a noise alone.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from metric_noise import told
from numpy.typing import NDArray

from inscl.bench.grid.records import read_records

METRIC = "answer_loss"

Cells = Mapping[tuple[str, str], Mapping[int, float]]
"""(method, order) -> seed -> a number, in points."""


def mean_of_ratios(experts: NDArray[np.float64], last: NDArray[np.float64]) -> float:
    return float(100 * np.exp(experts - last).mean())


def pooled(experts: NDArray[np.float64], last: NDArray[np.float64]) -> float:
    return float(100 * math.exp((experts - last).mean()))


def values_of(
    records: Sequence[Mapping[str, Any]],
    measure: Callable[[NDArray[np.float64], NDArray[np.float64]], float],
    shared: bool = False,
    questions: int | None = None,
) -> Cells:
    """The number of each cell: `shared` takes mean experts, `questions` the first ones of each task."""
    own: dict[str, list[float]] = {}
    for record in records:
        for task, loss in zip(record["tasks"], record["experts"][METRIC], strict=True):
            own.setdefault(task, []).append(loss)
    found: dict[tuple[str, str], dict[int, float]] = {}
    for record in records:
        cell, tasks = record["cell"], record["tasks"]
        experts = [float(np.mean(own[task])) for task in tasks] if shared else record["experts"][METRIC]
        last = record["scores"][METRIC][-1]
        if questions is not None:
            asked = record["questions"]
            last = [float(np.mean(asked[task]["scores"][METRIC][:questions])) for task in tasks]
        value = measure(np.array(experts[:-1]), np.array(last[:-1]))
        found.setdefault((cell["method"], cell["order"]), {})[cell["seed"]] = value
    return found


def noise_of(cells: Cells) -> float:
    """Root mean square of the difference of two seeds."""
    apart = [(a - b) ** 2 for seeds in cells.values() for a, b in combinations(seeds.values(), 2)]
    return float(np.sqrt(np.mean(apart))) if apart else math.nan


def differences_of(cells: Cells) -> list[list[float]]:
    """The paired differences of each two methods of an order, by seed."""
    found = []
    for (one, order), (other, again) in combinations(cells, 2):
        if order == again:
            mine, theirs = cells[one, order], cells[other, again]
            found.append([mine[seed] - theirs[seed] for seed in mine if seed in theirs])
    return [row for row in found if len(row) > 1]


def signal_of(cells: Cells) -> float:
    """Joint training minus No Replay, or how far methods lie apart."""
    means = {method: [x for (name, _), seeds in cells.items() if name == method for x in seeds.values()]
             for method in ("none", "joint")}  # fmt: skip
    if all(means.values()):
        return float(np.mean(means["joint"]) - np.mean(means["none"]))
    apart = [float(np.mean(row)) ** 2 for row in differences_of(cells)]
    return float(np.sqrt(np.mean(apart))) if apart else math.nan


def row_of(lever: str, setting: str, cells: Cells) -> dict[str, Any]:
    noise, signal = noise_of(cells), signal_of(cells)
    return {"lever": lever, "setting": setting, **rounded(noise=noise, signal=signal, ratio=signal / noise)}


def rounded(**numbers: float) -> dict[str, float | None]:
    return {name: None if math.isnan(number) else round(number, 2) for name, number in numbers.items()}


def rows_of(records: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    rows = [
        row_of("measure", "mean of ratios", values_of(records, mean_of_ratios)),
        row_of("measure", "pooled ratio", values_of(records, pooled)),
        row_of("experts", "mean over seeds, mean of ratios", values_of(records, mean_of_ratios, shared=True)),
        row_of("experts", "mean over seeds, pooled ratio", values_of(records, pooled, shared=True)),
    ]
    if all(record.get("questions") for record in records):
        counts = {len(asked["ids"]) for record in records for asked in record["questions"].values()}
        for count in (15, 30, max(counts)):
            cells = values_of(records, mean_of_ratios, questions=count)
            rows.append(row_of("questions", f"{count} of each task", cells))
    cells = values_of(records, mean_of_ratios)
    paired = [float(np.var(row, ddof=1)) for row in differences_of(cells)]
    if paired:
        shared = float(np.sqrt(np.mean(paired)))
        rows.append({"lever": "shared chance", "setting": "paired by seed", **rounded(noise=shared)})
        rows.append({"lever": "shared chance", "setting": "drawn anew", **rounded(noise=anew(cells))})
    return rows


def anew(cells: Cells) -> float:
    """The deviation of the difference of two methods if their seeds had nothing in common: their variances add up."""
    found = []
    for (one, order), (other, again) in combinations(cells, 2):
        if order == again and len(cells[one, order]) > 1 and len(cells[other, again]) > 1:
            sides = [list(cells[name, order].values()) for name in (one, other)]
            found.append(sum(float(np.var(side, ddof=1)) for side in sides))
    return float(np.sqrt(np.mean(found)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("records", type=Path, help="the folder of records")
    parser.add_argument("--out", type=Path, help="write the rows there, as JSON")
    given = parser.parse_args()
    records = [record for record in read_records(given.records) if METRIC in record["scores"] and record["experts"]]
    if not records:
        parser.error(f"no records with {METRIC} and experts there")
    rows = rows_of(records)
    told(rows, given.out, f"levers.py {given.records}")


if __name__ == "__main__":
    main()
