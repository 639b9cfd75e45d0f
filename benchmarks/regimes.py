"""Which regime measures best: signal over noise of No Replay and joint training, from the records of grids.

    python benchmarks/regimes.py benchmarks/results/bench_superni16/records
    python benchmarks/regimes.py runs/bench/a/records runs/bench/b/records --out regimes.json

Records of a folder with the same model, rows of a task, learning rate, batch, epochs, adapter and test rows are one
candidate regime; each metric in them is a candidate of its own. Of each gain over experts, in points:

- signal: mean of joint training, less the mean of No Replay;
- noise: root mean square of the difference of two cells that differ in the seed alone, of No Replay and of joint
  training together. It is the deviation that a paired difference of two methods has if they share nothing but the data;
- ratio: signal over noise;
- detectable: the paired difference that 8 seeds would show four times in five, with that noise;
- seconds: training and evaluation of a cell of No Replay, mean.

The rule, of docs/registered.md: of the candidates with 3 seeds or more of both methods and at most 600 seconds, the one
with the highest ratio is chosen. Scores of methods that replay are not read.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from datetime import date
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from inscl.bench.grid.records import read_records
from inscl.bench.numbers.measures import measures_of
from inscl.bench.numbers.observations import Observation, observe
from inscl.bench.numbers.power import detectable

SEEDS, LEAST_SEEDS, MOST_SECONDS = 8, 3, 600
GAINS = ("relative_gain_final", "perplexity_gain_final", "pooled_perplexity_gain_final")


def values_of(cells: Sequence[Observation], measure: str) -> dict[tuple[str, str], list[float]]:
    """(strategy, order) -> the measure at each seed."""
    found: dict[tuple[str, str], list[float]] = {}
    for cell in cells:
        if (number := cell.measures[measure]) is not None:
            found.setdefault((cell.method, cell.order), []).append(number)
    return found


def row_of(folder: Path, records: Sequence[Mapping[str, Any]], metric: str, measure: str) -> dict[str, Any]:
    """One candidate."""
    cells = observe(records, metric)[1]
    values = values_of(cells, measure)
    apart = [(a - b) ** 2 for numbers in values.values() for a, b in combinations(numbers, 2)]
    means = {
        method: [x for (name, _), xs in values.items() if name == method for x in xs] for method in ("none", "joint")
    }
    noise = float(np.sqrt(np.mean(apart))) if apart else None
    signal = float(np.mean(means["joint"]) - np.mean(means["none"])) if all(means.values()) else None
    seconds = [
        record["cost"]["train_seconds"] + record["cost"]["evaluate_seconds"]
        for record in records
        if record["cell"]["method"] == "none"
    ]
    seeds = min(len({cell.seed for cell in cells if cell.method == method}) for method in ("none", "joint"))
    ratio = signal / noise if signal is not None and noise else None
    took = float(np.mean(seconds)) if seconds else None
    return {
        "regime": folder.parent.name if folder.name == "records" else folder.name,
        "settings": settings_of(records[0]),
        "metric": metric,
        "number": measure,
        "seeds": seeds,
        "signal": rounded(signal),
        "noise": rounded(noise),
        "ratio": rounded(ratio),
        "detectable": rounded(detectable(noise, SEEDS) if noise else None),
        "seconds": rounded(took),
        "admitted": seeds >= LEAST_SEEDS and ratio is not None and took is not None and took <= MOST_SECONDS,
    }


def settings_of(record: Mapping[str, Any]) -> dict[str, Any]:
    """What the candidates differ in."""
    config = record["config"]
    training, stream = config["training"], config["stream"]
    return {
        "model": record["cell"]["model"],
        "train_per_task": stream["train_per_task"],
        "test_per_task": stream["test_per_task"],
        "adapter": config["model"]["adapter"]["kind"],
        **{name: training[name] for name in ("learning_rate", "batch_size", "epochs")},
    }


def rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


def rows_of(folder: Path) -> list[dict[str, Any]]:
    """The candidates of one grid; methods that replay are left out before anything is computed."""
    records = [
        {**record, "cell": {**record["cell"], "budget": None, "method": record["config"]["replay"]["strategy"]}}
        for record in read_records(folder)
        if record["config"]["replay"]["strategy"] in ("none", "joint")
    ]
    regimes: dict[str, list[dict[str, Any]]] = {}
    for record in records:
        regimes.setdefault(json.dumps(settings_of(record)), []).append(record)
    found = []
    for group in regimes.values():
        for metric in dict.fromkeys(metric for record in group for metric in record["scores"]):
            scale = observe(group, metric)[1][0].scale
            found += [row_of(folder, group, metric, one.name) for one in measures_of(scale) if one.name in GAINS]
    return found


def chosen(rows: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """The candidate that the rule takes; the first of equals."""
    return max((row for row in rows if row["admitted"]), key=lambda row: row["ratio"], default=None)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("records", type=Path, nargs="+", help="folders of records, one a candidate regime")
    parser.add_argument("--out", type=Path, help="write the rows there, as JSON")
    given = parser.parse_args()
    rows = [row for folder in given.records for row in rows_of(folder)]
    if not rows:
        parser.error("no records of No Replay or joint training with experts there")
    rows.sort(key=lambda row: -(row["ratio"] or 0))
    for row in rows:
        print(json.dumps(row))
    best = chosen(rows)
    print(f"chosen: {best['regime']}, {best['metric']}, {best['number']}" if best else "no candidate is admitted")
    if given.out:
        lines = ",\n  ".join(map(json.dumps, rows))
        command = "python benchmarks/regimes.py " + " ".join(map(str, given.records))
        text = f'{{"date": "{date.today()}", "command": {json.dumps(command)}, "rows": [\n  {lines}\n]}}\n'
        given.out.write_text(text, "utf-8")


if __name__ == "__main__":
    main()
