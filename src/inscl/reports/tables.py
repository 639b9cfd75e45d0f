"""Numbers with a background: score matrix, distances, allocations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from inscl.contract.scale import Scale
from inscl.reports.colours import step
from inscl.reports.text import amount, value
from inscl.storage.run.finished_run import Run, Stage, scale_in
from inscl.storage.run.formats import Score

__all__ = [
    "Cell",
    "Heat",
    "Row",
    "allocations",
    "distances",
    "held_out_scores",
    "planned_stages",
    "score_matrix",
    "span",
    "thinned",
]


@dataclass(frozen=True)
class Cell:
    """One number: its text, a smaller second line, its step on the scale, and whether it is outlined."""

    text: str
    detail: str = ""
    step: int = 0
    outlined: bool = False


@dataclass(frozen=True)
class Row:
    """A row: number and name of what it is about, and its cells; None where there is no number."""

    number: str
    name: str
    cells: Sequence[Cell | None]
    apart: bool = False


@dataclass(frozen=True)
class Heat:
    """A table of numbers; `columns` are (number, name), `absent` says what an empty cell means."""

    corner: str
    columns: Sequence[tuple[str, str]]
    rows: Sequence[Row]
    absent: str


def thinned(count: int, most: int) -> list[int]:
    """At most `most` of the numbers 1..count, evenly spread, the first and the last among them."""
    if count <= most:
        return list(range(1, count + 1))
    return sorted({1 + round(place * (count - 1) / (most - 1)) for place in range(most)})


def planned_stages(run: Run, most: int) -> list[Stage]:
    """The stages that have a plan, at most `most`, evenly spread."""
    planned = [stage for stage in run.stages if stage.plan is not None]
    return [planned[place - 1] for place in thinned(len(planned), most)]


def span(runs: Sequence[Run], scorer: str) -> tuple[float, float]:
    """The worst and the best score, which colours span: 0 and 100 of a percentage, else those that the runs have."""
    scale = scale_in(runs, scorer)
    found = [0.0, 100.0]
    if scale.unit != "percent":
        every = [scores for run in runs for scores in (*run.cells.values(), *run.experts.values())]
        found = [scores[scorer].mean for scores in every if scorer in scores] or found
    low, high = min(found), max(found)
    return (low, high) if scale.better == "higher" else (high, low)


def score_matrix(
    run: Run, scorer: str, most: int, tasks: int | None = None, ends: tuple[float, float] | None = None
) -> Heat:
    """R of one run: a row a stage, base model first and experts last; the better a score the darker its cell.

    Args:
        run: The run.
        scorer: Which score.
        most: Show at most this many stages.
        tasks: Show at most this many tasks; None shows all.
        ends: The worst and the best score, as `span` gives them; None takes those of this run.
    """
    colour = _Colour(run.scales[scorer], *(ends or span([run], scorer)))
    shown = [(number, run.tasks[number - 1]) for number in thinned(len(run.tasks), tasks or len(run.tasks))]
    rows = _stage_rows(run, scorer, most, shown, colour)
    rows += _expert_row(run, scorer, shown, colour)
    columns = [(str(number), task) for number, task in shown]
    return Heat("after stage", columns, rows, "not evaluated")


def held_out_scores(
    run: Run, scorer: str, most: int, tasks: int | None = None, ends: tuple[float, float] | None = None
) -> Heat | None:
    """The same for the tasks that are held out; None where there are none."""
    if not run.held_out:
        return None
    shown = [(0, run.held_out[place - 1]) for place in thinned(len(run.held_out), tasks or len(run.held_out))]
    colour = _Colour(run.scales[scorer], *(ends or span([run], scorer)))
    rows = _stage_rows(run, scorer, most, shown, colour) + _expert_row(run, scorer, shown, colour)
    return Heat("after stage", [("", task) for _, task in shown], rows, "not evaluated")


def _stage_rows(run: Run, scorer: str, most: int, shown: Sequence[tuple[int, str]], colour: _Colour) -> list[Row]:
    """A row a stage, the base model first, of tasks with the number of the stage that learns them; 0 is of none."""
    return [
        Row(
            str(stage),
            run.tasks[stage - 1] if stage else "base model",
            [_score(run.score(stage, task, scorer), colour, outlined=stage == number > 0) for number, task in shown],
        )
        for stage in (0, *thinned(len(run.tasks), most))
    ]


def _expert_row(run: Run, scorer: str, shown: Sequence[tuple[int, str]], colour: _Colour) -> list[Row]:
    """The experts of these tasks in one row; none where none was scored."""
    experts = [_score(run.experts.get(task, {}).get(scorer), colour) for _, task in shown]
    return [Row("", "experts", experts, apart=True)] if any(experts) else []


@dataclass(frozen=True)
class _Colour:
    """Which step of the scale a score has, and how it is written."""

    scale: Scale
    worst: float
    best: float

    def step(self, score: float) -> int:
        return step((score - self.worst) / (self.best - self.worst)) if self.best != self.worst else step(1)


def _score(score: Score | None, colour: _Colour, outlined: bool = False) -> Cell | None:
    if score is None:
        return None
    digits = colour.scale.digits
    detail = f"±{value(score.standard_error, digits)}" if score.standard_error is not None else ""
    return Cell(value(score.mean, digits), detail, colour.step(score.mean), outlined)


def distances(run: Run, most: int, furthest: float, tasks: int | None = None) -> Heat | None:
    """Transport distance of each earlier task (rows) to the new task of each stage; None where none was measured.

    Args:
        run: The run.
        most: Show at most this many stages.
        furthest: The distance that gets the darkest cell; the same for all runs compared.
        tasks: Show at most this many earlier tasks; None shows all.
    """
    found = _by_stage(run, "distance", most)
    if not found:
        return None
    return _heat(
        run, found, lambda number: Cell(value(number, 3), "", step(number / furthest if furthest else 0)), tasks
    )


def allocations(run: Run, most: int, largest: float, tasks: int | None = None) -> Heat | None:
    """Examples replayed from each earlier task (rows) at each stage, with their sum over all; None without any."""
    found = _by_stage(run, "allocation", most)
    if not any(number for shares in found.values() for number in shares.values()):
        return None
    heat = _heat(run, found, lambda number: Cell(amount(number), "", step(number / largest if largest else 0)), tasks)
    sums = [Cell(amount(sum(found[int(number)].values()))) for number, _ in heat.columns]
    return Heat(heat.corner, heat.columns, [*heat.rows, Row("", "in all", sums, apart=True)], heat.absent)


def _by_stage(run: Run, field: str, most: int) -> dict[int, dict[str, float]]:
    found = {}
    for stage in planned_stages(run, most):
        if stage.plan is not None:
            numbers = {share.task: getattr(share, field) for share in stage.plan.tasks}
            found[stage.number] = {task: number for task, number in numbers.items() if number is not None}
    return {number: shares for number, shares in found.items() if shares}


def _heat(run: Run, found: dict[int, dict[str, float]], cell: Callable[[float], Cell], tasks: int | None) -> Heat:
    rows = []
    for number, task in enumerate(run.tasks, 1):
        cells = [cell(shares[task]) if task in shares else None for shares in found.values()]
        if any(cells):
            rows.append(Row(str(number), task, cells))
    rows = [rows[place - 1] for place in thinned(len(rows), tasks or len(rows))]
    return Heat("earlier task", [(str(number), run.tasks[number - 1]) for number in found], rows, "not an earlier task")
