"""Scores over the stages: of a run, and of each task."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from inscl.contract.scale import PERCENT, Scale
from inscl.metrics import gain_of
from inscl.reports.charts import Series, line_chart
from inscl.reports.tables import thinned
from inscl.reports.text import plain
from inscl.storage.run.finished_run import Run, scale_in

__all__ = ["Curve", "average_over_stages", "forgetting_curves", "gain_over_stages"]


@dataclass(frozen=True)
class Kept:
    """A task's score right after learning and at the end of one run; None where it was not evaluated."""

    learned: float | None
    end: float | None
    scale: Scale = PERCENT

    @property
    def change(self) -> float | None:
        """The score at the end minus that right after learning, in the unit."""
        return None if self.learned is None or self.end is None else self.end - self.learned

    @property
    def fell(self) -> bool:
        """Whether the task was forgotten, by as much as the decimals show."""
        if self.learned is None or self.end is None:
            return False
        return self.scale.lost(self.learned, self.end) >= self._least

    @property
    def rose(self) -> bool:
        """Whether the number got larger, by as much as the decimals show."""
        return self.change is not None and self.change >= self._least

    @property
    def _least(self) -> float:
        return 0.5 / 10.0**self.scale.digits


@dataclass(frozen=True)
class Curve:
    """The forgetting curve of a task: a line a run, their chart, and first and last score a run."""

    task: str
    lines: Sequence[Series]
    chart: Markup
    kept: Sequence[Kept]


def gain_over_stages(runs: Sequence[Run], scorer: str, most: int) -> list[Series]:
    """A line a run that has Relative Gain, or of a loss the gain of perplexity, by stage."""
    found = []
    for colour, run in enumerate(runs):
        by_stage = run.metric(scorer, gain_of(run.scales.get(scorer, PERCENT)), "by_stage") or {}
        points = {int(stage): number for stage, number in by_stage.items() if number is not None}
        kept = set(thinned(len(run.tasks), most))
        if points:
            found.append(Series(run.label, colour, {stage: points[stage] for stage in sorted(points) if stage in kept}))
    return found


def average_over_stages(runs: Sequence[Run], scorer: str, most: int) -> list[Series]:
    """A line a run: mean score of the tasks learned so far, at each stage where all of them were evaluated."""
    found = []
    for colour, run in enumerate(runs):
        means = {stage: run.average(stage, scorer) for stage in thinned(len(run.tasks), most)}
        points = {stage: mean for stage, mean in means.items() if mean is not None}
        if points:
            found.append(Series(run.label, colour, points))
    return found


def forgetting_curves(runs: Sequence[Run], scorer: str, most: int, tasks: int | None = None) -> list[Curve]:
    """A curve for each task that was evaluated since it was learned.

    Args:
        runs: The runs.
        scorer: Which score.
        most: Show at most this many stages.
        tasks: Show at most this many tasks, evenly spread; None shows all.
    """
    names = list(dict.fromkeys(task for run in runs for task in run.tasks))
    names = [names[place - 1] for place in thinned(len(names), tasks or len(names))]
    stages = thinned(max(len(run.tasks) for run in runs), most)
    curves, scale = [], scale_in(runs, scorer)
    for task in names:
        lines = [_line(run, colour, task, scorer, stages) for colour, run in enumerate(runs) if task in run.tasks]
        lines = [line for line in lines if line.points]
        if lines:
            chart = line_chart(lines, stages, f"Score on {plain(task)} by stage", height=132, scale=scale)
            curves.append(Curve(task, lines, chart, [_kept(run, task, scorer) for run in runs]))
    return curves


def _kept(run: Run, task: str, scorer: str) -> Kept:
    if task not in run.tasks:
        return Kept(None, None)
    scale = run.scales.get(scorer, PERCENT)
    first, last = (run.score(stage, task, scorer) for stage in (run.tasks.index(task) + 1, run.learned))
    ended = run.learned > run.tasks.index(task)
    return Kept(first.mean if first else None, last.mean if last and ended else None, scale)


def _line(run: Run, colour: int, task: str, scorer: str, stages: Sequence[int]) -> Series:
    scores = {stage: run.score(stage, task, scorer) for stage in stages if stage > run.tasks.index(task)}
    expert = run.experts.get(task, {}).get(scorer)
    return Series(
        run.label,
        colour,
        {stage: score.mean for stage, score in scores.items() if score is not None},
        {stage: score.standard_error for stage, score in scores.items() if score and score.standard_error},
        expert.mean if expert else None,
    )
