"""A gate before deployment: is every task good enough, and was none forgotten?"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from inscl.errors import ConfigError, Problem, nearest
from inscl.lifelong.changes import metric_of
from inscl.lifelong.opening import settings_of
from inscl.lifelong.overview import status_of
from inscl.lifelong.results import Gate, GateFailure, Standing, TaskStatus

__all__ = ["gate"]


def gate(
    path: Path,
    max_forgetting: float | None = None,
    min_score: Mapping[str, float] | None = None,
    metric: str | None = None,
) -> Gate:
    """Check the last stage.

    Args:
        path: The workspace.
        max_forgetting: Most points that a task may stand below its best score since it was learned.
        min_score: Task -> least score, percent; ``*`` stands for all tasks.
        metric: Which score; None is the leading one.

    Raises:
        ConfigError: Nothing to check, no such task or metric, or a limit out of range.
    """
    status = status_of(path)
    leading = metric_of(metric, settings_of(path).evaluation.metrics)
    wanted = dict(min_score or {})
    _check(status.tasks, max_forgetting, wanted)
    failures, checked = [], 0
    # A task whose examples are all erased can't be measured any more.
    tasks = [task for task in status.tasks if task.erased < task.train + task.test]
    for task in tasks:
        standing = task.scores.get(leading)
        if max_forgetting is not None:
            checked += 1
            if standing is None:
                failures.append(_missing(task.name, "max-forgetting", max_forgetting))
            elif standing.lost > max_forgetting:
                failures.append(_forgotten(task.name, standing, max_forgetting))
        least = wanted.get(task.name, wanted.get("*"))
        if least is not None:
            checked += 1
            if standing is None:
                failures.append(_missing(task.name, "min-score", least))
            elif standing.now < least:
                said = f"{task.name} scores {standing.now:.1f}; at least {least:g} was asked for"
                failures.append(GateFailure(task.name, "min-score", standing.now, least, said))
    return Gate(not failures, len(status.tasks), leading, checked, tuple(failures))


def _forgotten(task: str, standing: Standing, limit: float) -> GateFailure:
    said = (
        f"{task} stands {standing.lost:.1f} points below its best ({standing.best:.1f} after stage "
        f"{standing.best_stage}, {standing.now:.1f} now); at most {limit:g} were allowed"
    )
    return GateFailure(task, "max-forgetting", standing.lost, limit, said)


def _missing(task: str, condition: str, limit: float) -> GateFailure:
    return GateFailure(task, condition, None, limit, f"{task} was not scored, so {condition} can't be checked")


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
