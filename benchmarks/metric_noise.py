"""Noise between seeds and cost of each metric, side by side, for the same runs: from the records of a grid.

    python benchmarks/metric_noise.py RECORDS [--out FILE]

RECORDS is the folder of a grid's records, of runs that differ in the seed. For each metric and each number that grids
compare (Relative Gain or perplexity gain, forgetting, average performance, backward transfer):

- mean: over all cells that have it;
- noise: mean absolute difference of two cells that differ in the seed alone, as `inscl bench` has it, and pairs;
- spread: the standard deviation of the cells' numbers between methods, which the noise has to stand below for the
  metric to tell methods apart; and separation: spread over noise.

Beside them the cost of the metric: seconds of asking for what it is measured on (generated text, likelihoods or
choices) over all stages of a cell. Metrics that are measured on the same share that cost; where a record doesn't say
it, it is null.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from inscl.bench.grid.records import read_records
from inscl.bench.numbers.comparison import noise_floor
from inscl.bench.numbers.measures import measures_of
from inscl.bench.numbers.observations import Observation, observe
from inscl.config.metrics import metric_traits
from inscl.contract.traits import MeasureTraits


def mean(values: list[float], digits: int = 4) -> float | None:
    return round(float(np.mean(values)), digits) if values else None


def needs(metric: str) -> str:
    traits = metric_traits(metric)
    return traits.needs if isinstance(traits, MeasureTraits) else "text"


def seconds(records: list[dict[str, Any]], metric: str) -> float | None:
    """Mean wall time a cell of asking for what the metric is measured on; None where no record says it."""
    name = f"evaluate_{needs(metric)}_seconds"
    return mean([record["cost"][name] for record in records if name in record["cost"]], 1)


def spread(cells: list[Observation], measure: str) -> float | None:
    """Standard deviation between methods of their means over seeds; None with fewer than two methods."""
    found = defaultdict(list)
    for cell in cells:
        if (number := cell.measures[measure]) is not None:
            found[cell.model, cell.method, cell.budget].append(number)
    means = [np.mean(numbers) for numbers in found.values()]
    return round(float(np.std(means, ddof=1)), 4) if len(means) > 1 else None


def rows_of(records: list[dict[str, Any]], metric: str) -> list[dict[str, Any]]:
    _, cells = observe(records, metric)
    cost = seconds(records, metric)
    rows = []
    for measure in measures_of(cells[0].scale):
        numbers = [number for cell in cells if (number := cell.measures[measure.name]) is not None]
        noise, apart = noise_floor(cells, measure.name), spread(cells, measure.name)
        known = None if noise.mean is None else round(noise.mean, 4)
        rows.append(
            {
                "metric": metric,
                "number": measure.name,
                "unit": measure.unit,
                "cells": len(numbers),
                "mean": mean(numbers),
                "noise": known,
                "pairs": noise.pairs,
                "spread": apart,
                "separation": round(apart / known, 2) if apart and known else None,
                "needs": needs(metric),
                "seconds": cost,
            }
        )
    return rows


def told(rows: Sequence[Mapping[str, Any]], out: Path | None, command: str) -> None:
    """Print rows, one a line of JSON, and write them to `out` with the date and the script's `command`."""
    for row in rows:
        print(json.dumps(row))
    if out:
        lines = ",\n  ".join(map(json.dumps, rows))
        said = json.dumps(f"python benchmarks/{command}")
        out.write_text(f'{{"date": "{date.today()}", "command": {said}, "rows": [\n  {lines}\n]}}\n', "utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("records", type=Path, help="folder of a grid's records")
    parser.add_argument("--out", type=Path, help="write the rows there, as JSON")
    given = parser.parse_args()
    records = read_records(given.records)
    if not records:
        parser.error(f"{given.records} holds no records")
    metrics = list(dict.fromkeys(metric for record in records for metric in record["scores"]))
    rows = [row for metric in metrics for row in rows_of(records, metric)]
    told(rows, given.out, f"metric_noise.py {given.records}")


if __name__ == "__main__":
    main()
