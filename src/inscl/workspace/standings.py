"""The standing of each task: first, best and last score, carried from stage to stage."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from inscl.contract.scale import Scale
from inscl.errors import WorkspaceError
from inscl.storage.run.run_folder import Record
from inscl.workspace.plain import Plain

__all__ = ["Standing", "Standings", "carried", "read_standings", "write_standings"]


@dataclass(frozen=True)
class Standing(Plain):
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


Standings = dict[str, dict[str, Standing]]
"""Task -> metric -> standing."""

_FILE = "standing.json"


def carried(
    before: Standings, stage: int, scores: Mapping[str, Mapping[str, Any]], scales: Mapping[str, Scale]
) -> Standings:
    """The standings after `stage`. What wasn't measured stays as it was.

    Args:
        before: The standings after the stage before.
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
                after[task][metric] = Standing(mean, mean, stage, mean, stage)
                continue
            best = (mean, stage) if scales[metric].lost(mean, known.best) > 0 else (known.best, known.best_stage)
            after[task][metric] = replace(known, best=best[0], best_stage=best[1], now=mean, now_stage=stage)
    return after


def read_standings(record: Record) -> Standings:
    """The standings after a recorded stage; none after stage 0.

    Raises:
        WorkspaceError: Its file is missing or damaged.
    """
    if record.stage == 0:
        return {}
    path = record.path / _FILE
    content = record.read(_FILE)
    try:
        return {
            task: {metric: Standing(**values) for metric, values in found.items()}
            for task, found in content["tasks"].items()
        }
    except (KeyError, TypeError, AttributeError) as error:
        raise WorkspaceError(f"{path} is damaged ({error!r}); roll back to the stage before it") from error


def write_standings(record: Record, before: Standings, scales: Mapping[str, Scale]) -> None:
    """Write the standings after the stage of `record`, whose scores are written already."""
    found = carried(before, record.stage, record.scores(), scales)
    record.write(_FILE, {"schema": 1, "stage": record.stage, "tasks": _plain(found)})


def _plain(standings: Standings) -> dict[str, Any]:
    """Plain values."""
    return {task: {metric: one.to_json() for metric, one in found.items()} for task, found in standings.items()}
