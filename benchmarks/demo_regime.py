"""The search that set the demo's training: every setting tried, as a table.

    python benchmarks/demo_regime.py --out runs/demo-regime

Each learning rate is run twice, with No Replay and with random replay of the demo's budget; everything else is as in
`inscl demo`. A search that was stopped goes on where it was. The rule by which a
rate is chosen stands in docs/demo.md; it looks at the runs without replay alone.
"""

from __future__ import annotations

import argparse
import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import yaml

import inscl

LEARNED, FORGOTTEN = 75.0, 10.0  # the rule's two numbers, percent


def measure(settings: dict[str, Any], out: Path, rate: float, strategy: str) -> dict[str, Any]:
    """One run, summed up."""
    folder = out / f"{strategy}-{rate:g}"
    changes = [f"replay.strategy={strategy}", f"training.learning_rate={rate}", f"output_dir={folder}"]
    run = inscl.run(inscl.load_config(settings, changes))
    scores = run.scores.array()
    stages = sorted((folder / "stages").glob("*/learn.json"))
    reports = [json.loads(stage.read_text(encoding="utf-8")) for stage in stages]
    learned, final = np.diag(scores[1:]), scores[-1]
    return {
        "learning_rate": rate,
        "strategy": strategy,
        "just_learned": float(learned.mean()),
        "final_earlier": float(final[:-1].mean()),
        "kept": float(100 * final[:-1].mean() / max(learned[:-1].mean(), 1e-9)),
        "tokens": sum(report["tokens"] for report in reports),
        "matrix": [[None if np.isnan(score) else round(score, 1) for score in row] for row in scores[1:]],
    }


def chosen(rows: list[dict[str, Any]]) -> float | None:
    """The smallest rate at which No Replay learns the tasks and then forgets them."""
    fit = [
        row["learning_rate"]
        for row in rows
        if row["strategy"] == "none" and row["just_learned"] >= LEARNED and row["kept"] < FORGOTTEN
    ]
    return min(fit, default=None)


def as_row(row: dict[str, Any]) -> str:
    """One line of the table."""
    numbers = f"{row['just_learned']:.1f} | {row['final_earlier']:.1f} | {row['kept']:.1f} | {row['tokens']:,}"
    return f"| {row['learning_rate']:g} | {row['strategy']} | {numbers} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/demo-regime"))
    parser.add_argument("--strategies", nargs="+", default=["none", "random"])
    parser.add_argument("--rates", type=float, nargs="+", default=[1e-3, 1.5e-3, 2e-3])
    arguments = parser.parse_args()
    settings = yaml.safe_load((files("inscl") / "demo.yaml").read_text(encoding="utf-8"))
    rows = []
    for rate in arguments.rates:
        for strategy in arguments.strategies:
            rows.append(measure(settings, arguments.out, rate, strategy))
            print(as_row(rows[-1]), flush=True)
    (arguments.out / "table.json").write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    print(f"chosen: {chosen(rows)}")


if __name__ == "__main__":
    main()
