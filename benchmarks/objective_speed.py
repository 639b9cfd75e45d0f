"""What each objective costs in time: the same rows, order, LoRA and steps, by turns, in one run.

    python benchmarks/objective_speed.py                 # 24 new and 24 replayed rows of the demo, three turns
    python benchmarks/objective_speed.py --turns 1 --rows 8

A learner is first taught a few rows of the demo's `route_message`, so that there is a model before the stage. Timed is
the stage after it: rows of `order_to_json`, and as many replayed rows of the first task. Wall and CPU seconds are
those of the whole call, with what an objective prepares (`prepare`) and reads (`distil` the replayed rows, `kl_base`
and `kpig` all of them), without loading the model. A ratio is that of an objective to `answer` in the same turn; the
median over the turns is given, and the least and the most.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np

import inscl
from inscl.contract import Task
from inscl.contract.plan import Pick, ReplayPlan
from inscl.learners import FineTune
from inscl.storage.files.atomic import write_json
from inscl.storage.files.provenance import hardware, now, packages

HERE = Path(__file__).parent
OBJECTIVES: dict[str, dict[str, Any]] = {
    "answer": {"name": "answer"},
    "distil": {"name": "distil"},
    "kl_base": {"name": "kl_base"},
    "kpig (margin)": {"name": "kpig"},
    "kpig (jsd)": {"name": "kpig", "params": {"form": "jsd"}},
}


def main() -> None:
    """Measure, print and record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="smollm2-135m")
    parser.add_argument("--rows", type=int, default=24, help="new rows, and as many replayed ones")
    parser.add_argument("--batch-size", type=int, default=4)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--out", type=Path, default=HERE / "results" / "objective_speed.json")
    given = parser.parse_args()
    settings = {"path": "demo", "order": ["route_message", "order_to_json"], "train_per_task": given.rows}
    first, second = inscl.load_stream({**settings, "test_per_task": 1}).tasks
    turns: list[dict[str, dict[str, float]]] = []
    for number in range(given.turns):
        # Whoever comes first warms up for the others, so each turn begins with another one.
        names = list(OBJECTIVES)
        names = names[number % len(names) :] + names[: number % len(names)]
        turns.append({name: timed(OBJECTIVES[name], first, second, given) for name in names})
        print(f"turn {number + 1}: " + ", ".join(f"{name} {one['wall']:.1f} s" for name, one in turns[-1].items()))
    rows = [row(name, turns) for name in OBJECTIVES]
    for one in rows:
        print(one)
    made = {"schema": 1, "created": now(), "hardware": hardware(), "packages": packages()}
    chosen = {name: str(value) if isinstance(value, Path) else value for name, value in vars(given).items()}
    chosen["out"] = given.out.name
    write_json(given.out, {**made, "settings": chosen, "objectives": rows, "turns": turns})


def timed(objective: dict[str, Any], first: Task, second: Task, given: argparse.Namespace) -> dict[str, float]:
    """One stage with an objective, after another one with `answer`'s loss on few rows."""
    learner = FineTune(
        given.model,
        objective=objective,
        epochs=1,
        learning_rate=1e-3,
        batch_size=given.batch_size,
        prompt="plain",
        precision=given.precision,
        save_every=None,
    )
    few = Task(first.name, tuple(first.train)[: given.batch_size])
    learner.learn(few, ReplayPlan.nothing(first.name))
    picks = tuple(Pick(one, first.name, len(first.train)) for one in first.train)
    began, spent = time.perf_counter(), time.process_time()
    report = learner.learn(second, ReplayPlan(second.name, "random", picks))
    wall, cpu = time.perf_counter() - began, time.process_time() - spent
    return {"wall": wall, "cpu": cpu, "steps": report.steps, "tokens": report.tokens}


def row(name: str, turns: list[dict[str, dict[str, float]]]) -> dict[str, Any]:
    """Medians over the turns, and how long an objective takes beside `answer`."""
    found: dict[str, Any] = {"objective": name, **{key: turns[0][name][key] for key in ("steps", "tokens")}}
    for clock in ("wall", "cpu"):
        found[f"{clock}_seconds"] = round(statistics.median(turn[name][clock] for turn in turns), 2)
        ratios = np.array([turn[name][clock] / turn["answer"][clock] for turn in turns])
        found[f"{clock}_ratio"] = [round(float(one), 2) for one in (np.median(ratios), ratios.min(), ratios.max())]
    return found


if __name__ == "__main__":
    main()
