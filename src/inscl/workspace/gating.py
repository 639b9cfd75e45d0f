"""A gate before deployment: is every task good enough, and was none forgotten?"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from inscl.contract.scale import Scale
from inscl.engine.open_run import OpenWorkspace
from inscl.errors import ConfigError, Problem, nearest
from inscl.workspace.differing import metric_of, other_settings
from inscl.workspace.plain import Plain
from inscl.workspace.score_history import ScoreHistory
from inscl.workspace.status import TaskStatus, status_of

__all__ = ["Gate", "GateFailure", "gate"]


@dataclass(frozen=True)
class GateFailure(Plain):
    """One condition that isn't met.

    Attributes:
        task: Which task.
        condition: ``max-forgetting``, ``min-score`` or ``max-score``.
        value: What was found, in the metric's unit; None where it was not measured.
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
        scale: Its unit and which direction is good.
        checked: How many conditions there were.
        failures: Those that aren't met.
        notes: Where a best score and the last one were measured on different examples, or with different settings; and
            tasks for which the metric is undefined, which aren't checked unless they are named.
    """

    passed: bool
    stage: int
    metric: str
    scale: Scale
    checked: int
    failures: tuple[GateFailure, ...]
    notes: tuple[str, ...] = ()


def gate(
    opened: OpenWorkspace,
    max_forgetting: float | None = None,
    min_score: Mapping[str, float] | None = None,
    max_score: Mapping[str, float] | None = None,
    metric: str | None = None,
) -> Gate:
    """Check the last stage.

    Args:
        opened: The workspace.
        max_forgetting: How much worse than at its best since it was learned a task may stand: points of a percentage,
            nats of a loss.
        min_score: Task -> least score, for a metric that is better when higher; ``*`` stands for all tasks.
        max_score: Task -> greatest score, for one that is better when lower.
        metric: Which score; None is the leading one.

    Raises:
        ConfigError: Nothing to check, no such task or metric, a metric that is undefined for all tasks, a limit out of
            range, or one of the wrong direction.
    """
    status = status_of(opened)
    leading = metric_of(metric, list(status.metrics))
    scale = status.metrics[leading]
    _check(status.tasks, leading, scale, max_forgetting, {"min-score": min_score or {}, "max-score": max_score or {}})
    wanted, condition = dict(min_score or max_score or {}), _bound(scale)
    failures: list[GateFailure | None] = []
    notes = []
    for task in status.tasks:
        history = task.scores.get(leading)
        limit = wanted.get(task.name, wanted.get("*"))
        if task.gone:
            # It can't be measured any more. Whoever asks for it by name must hear of that.
            if task.name in wanted:
                failures.append(_missing(task.name, condition, wanted[task.name], "has no examples any more"))
            continue
        if history is None and task.test:
            # Every task with test examples is scored when it is learned, so it is one that has no such score.
            if task.name in wanted:
                failures.append(_missing(task.name, condition, wanted[task.name], f"has no {leading}"))
            elif limit is not None or max_forgetting is not None:
                notes.append(f"{leading} is undefined for {task.name}, which isn't checked")
            continue
        if max_forgetting is not None:
            failures.append(_forgotten(task.name, history, max_forgetting, scale))
            notes += _not_alike(opened, task.name, leading, history)
        if limit is not None:
            failures.append(_not_good_enough(task.name, history, limit, scale))
    if notes and not failures:
        raise ConfigError(
            [Problem("--metric", f"{leading} is undefined for every task, so nothing is checked")], "gate"
        )
    found = tuple(failure for failure in failures if failure is not None)
    return Gate(not found, len(status.tasks), leading, scale, len(failures), found, tuple(dict.fromkeys(notes)))


def _bound(scale: Scale) -> str:
    """The condition that keeps bad scores out."""
    return "min-score" if scale.better == "higher" else "max-score"


def _forgotten(task: str, history: ScoreHistory | None, limit: float, scale: Scale) -> GateFailure | None:
    if history is None:
        return _missing(task, "max-forgetting", limit)
    lost = scale.lost(history.best, history.now)
    if not _above(lost, limit):
        return None
    side = "below" if scale.better == "higher" else "above"
    said = (
        f"{task} stands {scale.text(lost)} {scale.points} {side} its best ({scale.text(history.best)} after stage "
        f"{history.best_stage}, {scale.text(history.now)} now); at most {limit:g} were allowed"
    )
    return GateFailure(task, "max-forgetting", lost, limit, said)


def _not_good_enough(task: str, history: ScoreHistory | None, limit: float, scale: Scale) -> GateFailure | None:
    condition = _bound(scale)
    if history is None:
        return _missing(task, condition, limit)
    if not _above(scale.lost(limit, history.now), 0):
        return None
    side = "least" if scale.better == "higher" else "most"
    said = f"{task} scores {scale.text(history.now)}; at {side} {limit:g} was asked for"
    return GateFailure(task, condition, history.now, limit, said)


def _above(value: float, limit: float) -> bool:
    """Whether it is more, by more than the rounding of a mean."""
    return value > limit and not math.isclose(value, limit, rel_tol=1e-9, abs_tol=1e-9)


def _not_alike(opened: OpenWorkspace, task: str, metric: str, history: ScoreHistory | None) -> list[str]:
    """What to say if the best score and the last one are of samples that differ in size, or of other settings."""
    if history is None or history.best_stage == history.now_stage:
        return []
    stages = (history.best_stage, history.now_stage)
    notes = other_settings(opened, stages)
    asked = [opened.folder.stage(stage).scores().get(task, {}).get(metric, {}).get("n") for stage in stages]
    # Samples of one size are the same one.
    if None not in asked and asked[0] != asked[1]:
        notes.append(
            f"{task} was scored on {asked[0]} examples after stage {stages[0]}, its best, and on {asked[1]} after "
            f"stage {stages[1]}: part of the difference may be theirs"
        )
    return notes


def _missing(task: str, condition: str, limit: float, why: str = "was not scored") -> GateFailure:
    return GateFailure(task, condition, None, limit, f"{task} {why}, so {condition} can't be checked")


def _check(
    tasks: Sequence[TaskStatus],
    metric: str,
    scale: Scale,
    max_forgetting: float | None,
    bounds: Mapping[str, Mapping[str, float]],
) -> None:
    names, condition = [task.name for task in tasks], _bound(scale)
    problems = []
    if max_forgetting is None and not any(bounds.values()):
        problems.append(Problem("", f"nothing to check: give --max-forgetting or --{condition}"))
    if not tasks:
        problems.append(Problem("", "nothing was learned yet, so there is nothing to check"))
    if max_forgetting is not None and not _fits(max_forgetting, scale):
        problems.append(Problem("--max-forgetting", f"{_range(scale)} were expected, got {max_forgetting:g}"))
    for option, limits in bounds.items():
        if limits and option != condition:
            said = f"{metric} is better when {scale.better}, so it is kept within bounds by --{condition}"
            problems.append(Problem(f"--{option}", said))
            continue
        for name, limit in limits.items():
            if tasks and name != "*" and name not in names:
                problems.append(Problem(f"--{option}", f"no task {name!r}{nearest(name, names)}"))
            if not _fits(limit, scale, negative=scale.unit == "number"):
                said = "0 to 100 percent was" if scale.unit == "percent" else f"{_range(scale)} were"
                problems.append(Problem(f"--{option}", f"{said} expected for {name}, got {limit:g}"))
    if problems:
        raise ConfigError(problems, "gate")


def _fits(limit: float, scale: Scale, negative: bool = False) -> bool:
    """Whether a limit is one that a score or a difference may reach."""
    most = 100 if scale.unit == "percent" else math.inf
    return math.isfinite(limit) and (negative or 0 <= limit <= most)


def _range(scale: Scale) -> str:
    return "0 to 100 points" if scale.unit == "percent" else f"0 or more {scale.points}"
