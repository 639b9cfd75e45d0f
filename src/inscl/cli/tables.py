"""Runs, plans and tags as tables on a terminal."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from inscl.cli.terminal import plain
from inscl.contract.scale import Scale
from inscl.metrics import scale_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from inscl.contract.plan import ReplayPlan
    from inscl.pipeline import Run
    from inscl.planning.tags import TaggedInstruction

__all__ = ["print_comparison", "print_plan", "print_run", "print_tags"]

_SHOWN = (
    "average_performance",
    "backward_transfer",
    "forgetting",
    "relative_gain",
    "perplexity_gain",
    "pooled_perplexity_gain",
    "forgetting_rate",
    "general_delta",
    "p_score",
)


def print_run(run: Run) -> None:
    """The score matrix and the metrics of one run."""
    console = _console()
    leading, scale = next(iter(run.scores.scales.items()))
    title = f"{_named(leading, scale)}, after each stage"
    table = _stage_table(title, run, run.scores.tasks, run.scores.array(), scale)
    _add_experts(table, run.scores.expert_array(), scale)
    console.print(table)
    if held_out := run.scores.held_out:
        table = _stage_table("held out, never learned", run, held_out, run.scores.held_out_array(), scale)
        _add_experts(table, run.scores.held_out_expert_array(), scale)
        console.print(table)
    values = run.metrics[leading]
    for name in _SHOWN:
        value = _scalar(values.get(name))
        if value is not None:
            console.print(f"{name}: {scale_of(name, scale).text(value)}", highlight=False)


def _stage_table(title: str, run: Run, tasks: Sequence[str], scores: NDArray[np.float64], scale: Scale) -> Table:
    """Scores of tasks, a row a stage that was scored."""
    table = Table(title=title, box=box.SIMPLE, title_justify="left")
    table.add_column("after")
    for task in tasks:
        table.add_column(_text(task), justify="right")
    for stage, row in enumerate(scores):
        if not all(map(math.isnan, row)):
            name = "base" if stage == 0 else f"{stage} {run.scores.tasks[stage - 1]}"
            table.add_row(_text(name), *(_number(value, scale) for value in row))
    return table


def _add_experts(table: Table, experts: NDArray[np.float64], scale: Scale) -> None:
    if not all(map(math.isnan, experts)):
        table.add_row("experts", *(_number(value, scale) for value in experts))


def print_comparison(runs: Sequence[Run]) -> None:
    """Runs side by side: each task right after it was learned and at the end."""
    console = _console()
    leading, scale = next(iter(runs[0].scores.scales.items()))
    title = f"{_named(leading, scale)}: right after learning → at the end"
    table = Table(title=title, box=box.SIMPLE, title_justify="left")
    table.add_column("task")
    labels = [_label(run) for run in runs]
    for label in labels:
        table.add_column(_text(label), justify="right")
    matrices = [run.scores.array() for run in runs]
    for j, task in enumerate(runs[0].scores.tasks):
        cells = [f"{_number(matrix[j + 1, j], scale)} → {_number(matrix[-1, j], scale)}" for matrix in matrices]
        table.add_row(_text(task), *cells)
    for name in _SHOWN:
        found = [_scalar(run.metrics[leading].get(name)) for run in runs]
        if any(value is not None for value in found):
            of = scale_of(name, scale)
            table.add_row(name, *("–" if value is None else of.text(value) for value in found))
    console.print(table)


def print_plan(plan: ReplayPlan) -> None:
    """The number of examples that a plan takes from each earlier task."""
    console = _console()
    title = f"{plain(plan.new_task)}: {len(plan.picks)} replayed ({plan.strategy})"
    if not plan.shares:
        console.print(Text(f"{title}; nothing was learned before it"))
        return
    table = Table(title=Text(title), box=box.SIMPLE, title_justify="left")
    measured = any("rise" in share.reason for share in plan.shares)
    rise = ("loss rise",) if measured else ()
    for heading in ("earlier task", *rise, "distance", "allocation", "of", "instructions"):
        table.add_column(heading, justify="left" if heading == "earlier task" else "right")
    for share in plan.shares:
        picked = sum(1 for row in share.instructions if row.picked)
        distance = "–" if "distance" not in share.reason else f"{share.reason['distance']:.4f}"
        covered = f"{picked}/{len(share.instructions)}"
        risen = share.reason.get("rise")
        cell = ["–" if risen is None else f"{risen:+.4f}"] if measured else []
        table.add_row(_text(share.task), *cell, distance, str(share.allocation), str(share.available), covered)
    console.print(table)
    for note in plan.notes:
        console.print(Text(f"note: {plain(note)}"))


def print_tags(rows: Sequence[TaggedInstruction]) -> None:
    """Instructions, most informative first within a task, with their tags."""
    console = _console()
    table = Table(box=box.SIMPLE)
    for heading in ("task", "InsInfo", "tags", "instruction"):
        table.add_column(heading, overflow="fold" if heading == "tags" else "ellipsis", no_wrap=heading != "tags")
    order = {task: k for k, task in enumerate(dict.fromkeys(row.task for row in rows))}
    for row in sorted(rows, key=lambda row: (order[row.task], -row.insinfo)):
        text = " ".join(row.instruction.split())[:60]
        table.add_row(_text(row.task), f"{row.insinfo:.2f}", _text(", ".join(row.tags)), _text(text))
    console.print(table)


def _console() -> Console:
    console = Console()
    # A pipe has no width of its own: nothing is folded or cut there.
    return console if console.is_terminal else Console(width=200)


def _text(value: str) -> Text:
    return Text(plain(value))


def _named(metric: str, scale: Scale) -> str:
    """A metric with its unit; and which direction is good, where that is the less usual one."""
    return f"{metric}, {scale.unit}" + (", lower is better" if scale.better == "lower" else "")


def _number(value: float, scale: Scale) -> str:
    return "–" if math.isnan(value) else scale.text(value)


def _scalar(value: Any) -> float | None:
    """A metric's headline: the number itself, or the final or mean value of one that has several."""
    if isinstance(value, dict):
        value = value.get("final", value.get("mean"))
    return value if isinstance(value, (int, float)) else None


def _label(run: Run) -> str:
    import json

    return str(json.loads((run.path / "manifest.json").read_text(encoding="utf-8"))["label"])
