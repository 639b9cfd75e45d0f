"""The first, best and last score of each task, continued from stage to stage."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from inscl.contract.scale import Scale
from inscl.errors import WorkspaceError
from inscl.storage.run.run_folder import Record
from inscl.workspace.plain import Plain

__all__ = ["Histories", "ScoreHistory", "continued", "read_histories", "write_histories"]


@dataclass(frozen=True)
class ScoreHistory(Plain):
    """One task's scores by one metric, in its unit.

    Attributes:
        first: Right after it was learned.
        best: The best since, which is the lowest of a loss; never before it was learned.
        best_stage: After which stage that was.
        now: The last one measured.
        now_stage: After which stage that was.
    """

    first: float
    best: float
    best_stage: int
    now: float
    now_stage: int


Histories = dict[str, dict[str, ScoreHistory]]
"""Task -> metric -> its history."""

_FILE = "score_history.json"


def continued(
    before: Histories, stage: int, scores: Mapping[str, Mapping[str, Any]], scales: Mapping[str, Scale]
) -> Histories:
    """The histories up to `stage`. What wasn't measured stays as it was.

    Args:
        before: The histories up to the stage before.
        stage: Its number.
        scores: Task -> metric -> cell, as recorded.
        scales: Metric -> which direction is good: the best loss is the lowest.
    """
    after = {task: dict(found) for task, found in before.items()}
    for task, found in scores.items():
        for metric, score in found.items():
            mean = float(score["mean"])
            known = after.setdefault(task, {}).get(metric)
            if known is None:
                after[task][metric] = ScoreHistory(mean, mean, stage, mean, stage)
                continue
            best = (mean, stage) if scales[metric].lost(mean, known.best) > 0 else (known.best, known.best_stage)
            after[task][metric] = replace(known, best=best[0], best_stage=best[1], now=mean, now_stage=stage)
    return after


def read_histories(record: Record) -> Histories:
    """The histories up to a recorded stage; none at stage 0.

    Raises:
        WorkspaceError: Its file is missing or damaged.
    """
    if record.stage == 0:
        return {}
    path = record.path / _FILE
    content = record.read(_FILE)
    try:
        return {
            task: {metric: ScoreHistory(**values) for metric, values in found.items()}
            for task, found in content["tasks"].items()
        }
    except (KeyError, TypeError, AttributeError) as error:
        raise WorkspaceError(f"{path} is damaged ({error!r}); roll back to the stage before it") from error


def write_histories(record: Record, before: Histories, scales: Mapping[str, Scale]) -> None:
    """Write the histories up to the stage of `record`, whose scores are written already."""
    found = continued(before, record.stage, record.scores(), scales)
    record.write(_FILE, {"schema": 1, "stage": record.stage, "tasks": _plain(found)})


def _plain(histories: Histories) -> dict[str, Any]:
    """Plain values."""
    return {task: {metric: one.to_json() for metric, one in found.items()} for task, found in histories.items()}
