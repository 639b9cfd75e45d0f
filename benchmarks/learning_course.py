"""How well each task was learned when it was new, and how training went: from a grid's records and from run folders.

    python benchmarks/learning_course.py RECORDS [RUN ...] [--out FILE]

RECORDS is the folder of a grid's records. For each record of a run that learned task after task: the mean score of
the tasks right after their own stage, over all and over the later half of the tasks, the same of their experts, and
the mean at the end; in points of the first metric. For each RUN, stage by stage, the mean training loss over the
later half of its steps, in nats an answer token.
"""

from __future__ import annotations

import argparse
import json
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np


def mean(values: list[float]) -> float:
    return round(float(np.mean(values)), 1)


def of_record(path: Path) -> dict[str, Any] | None:
    record = json.loads(path.read_text("utf-8"))
    metric = next(iter(record["scores"]))
    rows, tasks = record["scores"][metric], record["tasks"]
    new = [rows[stage][stage - 1] for stage in range(1, len(tasks) + 1)]
    if None in new:
        return None  # joint training: no stage of their own
    half, experts = len(tasks) // 2, record.get("experts", {}).get(metric)
    return {
        "cell": record["cell"],
        "new": mean(new),
        "new_later_half": mean(new[half:]),
        "experts_later_half": mean(experts[half:]) if experts else None,
        "end": mean(rows[-1]),
    }


def of_run(path: Path) -> dict[str, Any]:
    losses = []
    for log in sorted(path.glob("stages/*/train_log.jsonl")):
        steps = [json.loads(line)["loss"] for line in log.read_text("utf-8").splitlines()]
        losses.append(mean(steps[len(steps) // 2 :]))
    return {"run": path.name, "loss_later_half": losses}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("records", type=Path)
    parser.add_argument("runs", type=Path, nargs="*")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    records = [found for path in sorted(given.records.glob("*.json")) if (found := of_record(path))]
    records.sort(key=lambda found: json.dumps(found["cell"], sort_keys=True))
    rows = [*records, *map(of_run, given.runs)]
    for row in rows:
        print(json.dumps(row))
    if given.out:
        lines = ",\n  ".join(map(json.dumps, rows))
        given.out.write_text(f'{{"date": "{date.today()}", "rows": [\n  {lines}\n]}}\n', "utf-8")


if __name__ == "__main__":
    main()
