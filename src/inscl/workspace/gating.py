"""A gate before deployment: is every task good enough, and was none forgotten?"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from inscl.engine.open_run import OpenWorkspace
from inscl.errors import ConfigError, Problem, nearest
from inscl.storage.run.run_folder import RunFolder
from inscl.workspace.differing import metric_of
from inscl.workspace.plain import Plain
from inscl.workspace.standings import Standing
from inscl.workspace.status import TaskStatus, status_of

__all__ = ["Gate", "GateFailure", "gate"]


@dataclass(frozen=True)
class GateFailure(Plain):
    """One condition that isn't met.

    Attributes:
        task: Which task.
        condition: ``max-forgetting`` or ``min-score``.
        value: What was found, in points or percent; None where it was not measured.
        limit: What was asked for.
        message: The same in words.
    """

    task: str
    condition: str
    value: float | None
    limit: float
    message: str


@dataclass(frozen=True)
class Gate(Plain):
    """Whether a workspace may be deployed.

    Attributes:
        passed: Whether every condition is met.
        stage: The stage that was looked at.
        metric: Which score.
        checked: How many conditions there were.
        failures: Those that aren't met.
        notes: Tasks whose best score was measured on more or fewer examples than the last one.
    """

    passed: bool
    stage: int
    metric: str
    checked: int
    failures: tuple[GateFailure, ...]
    notes: tuple[str, ...] = ()


def gate(
    opened: OpenWorkspace,
    max_forgetting: float | None = None,
    min_score: Mapping[str, float] | None = None,
    metric: str | None = None,
) -> Gate:
    """Check the last stage.

    Args:
        opened: The workspace.
        max_forgetting: Most points that a task may stand below its best score since it was learned.
        min_score: Task -> least score, percent; ``*`` stands for all tasks.
        metric: Which score; None is the leading one.

    Raises:
        ConfigError: Nothing to check, no such task or metric, or a limit out of range.
    """
    status = status_of(opened)
    leading = metric_of(metric, opened.settings.evaluation.metrics)
    wanted = dict(min_score or {})
    _check(status.tasks, max_forgetting, wanted)
    failures: list[GateFailure | None] = []
    notes = []
    for task in status.tasks:
        standing = task.scores.get(leading)
        least = wanted.get(task.name, wanted.get("*"))
        if task.erased >= task.train + task.test:
            # It can't be measured any more. Whoever asks for it by name must hear of that.
            if task.name in wanted:
                failures.append(_missing(task.name, "min-score", wanted[task.name], "has no examples any more"))
            continue
        if max_forgetting is not None:
            failures.append(_forgotten(task.name, standing, max_forgetting))
            notes += _other_examples(opened.folder, task.name, leading, standing)
        if least is not None:
            failures.append(_too_low(task.name, standing, least))
    found = tuple(failure for failure in failures if failure is not None)
    return Gate(not found, len(status.tasks), leading, len(failures), found, tuple(notes))


def _forgotten(task: str, standing: Standing | None, limit: float) -> GateFailure | None:
    if standing is None:
        return _missing(task, "max-forgetting", limit)
    if not _above(standing.lost, limit):
        return None
    said = (
        f"{task} stands {standing.lost:.1f} points below its best ({standing.best:.1f} after stage "
        f"{standing.best_stage}, {standing.now:.1f} now); at most {limit:g} were allowed"
    )
    return GateFailure(task, "max-forgetting", standing.lost, limit, said)


def _too_low(task: str, standing: Standing | None, least: float) -> GateFailure | None:
    if standing is None:
        return _missing(task, "min-score", least)
    if not _above(least, standing.now):
        return None
    said = f"{task} scores {standing.now:.1f}; at least {least:g} was asked for"
    return GateFailure(task, "min-score", standing.now, least, said)


def _above(value: float, limit: float) -> bool:
    """Whether it is more, by more than the rounding of a mean."""
    return value > limit and not math.isclose(value, limit, rel_tol=1e-9, abs_tol=1e-9)


def _other_examples(folder: RunFolder, task: str, metric: str, standing: Standing | None) -> list[str]:
    """What to say if the best score and the last one are of samples that differ in size; the same size is the same."""
    if standing is None or standing.best_stage == standing.now_stage:
        return []
    stages = (standing.best_stage, standing.now_stage)
    asked = [folder.stage(stage).scores().get(task, {}).get(metric, {}).get("n") for stage in stages]
    if None in asked or asked[0] == asked[1]:
        return []
    return [
        f"{task} was scored on {asked[0]} examples after stage {stages[0]}, its best, and on {asked[1]} after stage "
        f"{stages[1]}: part of the difference may be theirs"
    ]


def _missing(task: str, condition: str, limit: float, why: str = "was not scored") -> GateFailure:
    return GateFailure(task, condition, None, limit, f"{task} {why}, so {condition} can't be checked")


def _check(tasks: tuple[TaskStatus, ...], max_forgetting: float | None, min_score: Mapping[str, float]) -> None:
    names = [task.name for task in tasks]
    problems = []
    if max_forgetting is None and not min_score:
        problems.append(Problem("", "nothing to check: give --max-forgetting or --min-score"))
    if not tasks:
        problems.append(Problem("", "nothing was learned yet, so there is nothing to check"))
    if max_forgetting is not None and not 0 <= max_forgetting <= 100:
        problems.append(Problem("--max-forgetting", f"0 to 100 points were expected, got {max_forgetting:g}"))
    for name, least in min_score.items():
        if tasks and name != "*" and name not in names:
            problems.append(Problem("--min-score", f"no task {name!r}{nearest(name, names)}"))
        if not 0 <= least <= 100:
            problems.append(Problem("--min-score", f"0 to 100 percent was expected for {name}, got {least:g}"))
    if problems:
        raise ConfigError(problems, "gate")
