"""How the cost of a workspace grows with the number of tasks it has learned.

    python benchmarks/growth.py --tasks 200 --out benchmarks/results/growth

A stream of small tasks, each of 12 train and 4 test examples, is learned one by one; 50 examples are replayed at a
stage and one test example a task is answered. The learner is a stub that answers at once, so that what is left is the
cost of the workspace itself. Measured are seconds of processor time (a machine that does other work beside it disturbs
them least) of planning, of evaluating, of everything else that learning takes (reading, comparing, recording), of
opening (`status`) and of the report. `growth.json` has the numbers, `growth.svg` the curves. An interrupted benchmark
goes on where it was.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import time
from collections.abc import Callable, Sequence
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

from inscl import Task, Workspace, write_report
from inscl.config import kinds
from inscl.contract import Answer, Example, Question
from inscl.contract.plan import ReplayPlan
from inscl.contract.seams import LearnReport
from inscl.contract.traits import LearnerTraits
from inscl.engine import stage
from inscl.workspace import proposing

SETTINGS = (
    "training.learner=growth_stub",
    "training.epochs=1",
    "replay.embedder=ngrams",
    "replay.tag_embedder=null",
    "replay.budget.total=50",
    "evaluation.metrics=[exact_match]",
)
OPERATIONS = ("planning", "evaluating", "recording", "opening", "reporting")
REPORT_EVERY = 20


class Stub:
    """Learns nothing and answers the same to everything."""

    traits = LearnerTraits(saves=True)

    def learn(self, task: Task, plan: ReplayPlan) -> LearnReport:
        return LearnReport(1, len(task.train), len(plan.picks), 1000, 100, 0, 0.0, 1.0)

    def answer(self, questions: Sequence[Question], max_new_tokens: int = 64) -> list[Answer]:
        return [Answer("yes")] * len(questions)

    def save(self, folder: Path) -> None:
        (folder / "state.json").write_text("{}")

    def load(self, folder: Path) -> None:
        return


class Meter:
    """Seconds of processor time by operation."""

    def __init__(self) -> None:
        self.seconds = dict.fromkeys(OPERATIONS, 0.0)

    def timed(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **keywords: Any) -> Any:
            begun = time.process_time()
            try:
                return function(*arguments, **keywords)
            finally:
                self.seconds[name] += time.process_time() - begun

        return call


def task(number: int) -> Task:
    name = f"task{number:03d}"
    verbs = ("Name", "Find", "Give", "Tell", "List", "Count", "Sort", "Rate")
    nouns = ("city", "colour", "order", "invoice", "river", "planet", "author", "price")
    asked = f"{verbs[number % 8]} the {nouns[number // 8 % 8]} number {number} of the text."
    rows = [
        Example(asked if k % 3 else f"Please {asked.lower()}", f"Text {k} of {name}.", (f"answer {k}",), name)
        for k in range(16)
    ]
    return Task(name, tuple(rows[:12]), tuple(rows[12:]))


def prepare(folder: Path) -> Workspace:
    entries, entry = kinds._entries, EntryPoint("growth_stub", f"{__name__}:Stub", "inscl.learners")
    kinds._entries = lambda kind: {**entries(kind), **({entry.name: entry} if kind == "learners" else {})}
    if (folder / "ws" / "workspace.json").exists():
        return Workspace.open(folder / "ws")
    model = folder / "model"
    model.mkdir(parents=True, exist_ok=True)
    (model / "config.json").write_text("{}")
    (model / "model.safetensors").write_bytes(b"none")
    return Workspace.init(folder / "ws", str(model), changes=SETTINGS, eval_per_task=1)


def measure(workspace: Workspace, number: int, report: bool) -> dict[str, float]:
    meter = Meter()
    originals = proposing.plan_stage, stage.evaluate_tasks
    proposing.plan_stage = meter.timed("planning", proposing.plan_stage)
    stage.evaluate_tasks = meter.timed("evaluating", stage.evaluate_tasks)
    begun = time.process_time()
    try:
        workspace.learn(task(number))
    finally:
        proposing.plan_stage, stage.evaluate_tasks = originals
    whole = time.process_time() - begun
    meter.seconds["recording"] = whole - meter.seconds["planning"] - meter.seconds["evaluating"]
    meter.timed("opening", lambda: Workspace.open(workspace.path).status())()
    if report:
        meter.timed("reporting", lambda: write_report([workspace.path]))()
    else:
        del meter.seconds["reporting"]
    return {name: round(value, 4) for name, value in meter.seconds.items()}


def exponent(points: Sequence[tuple[int, float]]) -> float | None:
    """Slope of log seconds over log stages, by least squares over the later half: 1 is linear growth."""
    later = [(math.log(stage), math.log(value)) for stage, value in points if value > 0]
    later = later[len(later) // 2 :]
    if len(later) < 3:
        return None
    x, y = (sum(values) / len(later) for values in zip(*later, strict=True))
    return round(sum((a - x) * (b - y) for a, b in later) / sum((a - x) ** 2 for a, _ in later), 2)


def figure(rows: Sequence[dict[str, Any]]) -> str:
    """Small multiples, one an operation: seconds over stages."""
    width, height, parts = 220, 150, []
    last = rows[-1]["stage"]
    for place, name in enumerate(OPERATIONS):
        points = [(row["stage"], row[name]) for row in rows if name in row]
        if not points:
            continue
        top, left = max(value for _, value in points) or 1.0, place * width
        at = " ".join(f"{left + 30 + s / last * 175:.1f},{125 - v / top * 95:.1f}" for s, v in points)
        parts += [
            f'<text x="{left + 30}" y="18">{name}</text>',
            f'<path d="M{left + 30} 30 V125 H{left + 205}" fill="none" stroke="#999"/>',
            f'<polyline points="{at}" fill="none" stroke="#2a6" stroke-width="1.5"/>',
            f'<text x="{left + 26}" y="34" text-anchor="end">{top:.2g}</text>',
            f'<text x="{left + 205}" y="140" text-anchor="end">stage {last}</text>',
        ]
    size = f'width="{width * len(OPERATIONS)}" height="{height}"'
    style = 'font-family="sans-serif" font-size="10" fill="#333"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} {style}>' + "".join(parts) + "</svg>\n"


def write(out: Path, rows: Sequence[dict[str, Any]]) -> None:
    points = {name: [(row["stage"], row[name]) for row in rows if name in row] for name in OPERATIONS}
    found = {
        "command": "python benchmarks/growth.py",
        "unit": "seconds of processor time",
        "python": platform.python_version(),
        "exponent_of_later_half": {name: exponent(values) for name, values in points.items()},
        "stages": list(rows),
    }
    out.parent.mkdir(parents=True, exist_ok=True)
    out.with_suffix(".json").write_text(json.dumps(found, indent=1) + "\n")
    out.with_suffix(".svg").write_text(figure(rows))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--tasks", type=int, default=200)
    parser.add_argument("--folder", type=Path, default=Path("runs/growth"))
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/growth"))
    given = parser.parse_args()
    os.environ["INSCL_CACHE"] = str(given.folder / "cache")
    workspace = prepare(given.folder)
    kept = given.folder / "rows.json"
    rows = json.loads(kept.read_text()) if kept.exists() else []
    for number in range(len(workspace.status().tasks) + 1, given.tasks + 1):
        report = number % REPORT_EVERY == 0
        rows.append({"stage": number, **measure(workspace, number, report)})
        kept.write_text(json.dumps(rows))
        write(given.out, rows)
        print(rows[-1], flush=True)


if __name__ == "__main__":
    main()
