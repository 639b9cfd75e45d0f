"""Whether answers changed when the key part of their instruction did, by task, as ``inscl listening`` recorded it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from inscl.storage.run.finished_run import Run
from inscl.storage.run.formats import Heard

__all__ = ["HeardOfRun", "HeardOfTask", "heard_by_task", "heard_of_runs"]


@dataclass(frozen=True)
class HeardOfTask:
    """One task: how many of its questions were asked, and how many answers changed.

    Attributes:
        task: Its name.
        asked: Questions whose instruction has a key part.
        without: Of them, those whose answer changed when it was left out.
        swappable: Those that were also asked with another task's key part in its place.
        swapped: Of them, those whose answer changed.
        shown: Questions to show, those first whose answer never changed.
    """

    task: str
    asked: int
    without: int
    swappable: int
    swapped: int
    shown: Sequence[Heard]


@dataclass(frozen=True)
class HeardOfRun:
    """One run: the stage whose model was asked, and its tasks."""

    run: Run
    stage: int
    tasks: Sequence[HeardOfTask]


def heard_of_runs(runs: Sequence[Run], per_task: int) -> list[HeardOfRun]:
    """The last stage of each run that was asked; runs that weren't are left out.

    Args:
        runs: The runs.
        per_task: Show at most so many questions of a task.

    Raises:
        WorkspaceError: A file is damaged.
    """
    found = []
    for run in runs:
        for stage in reversed(run.stages):
            if rows := stage.heard():
                found.append(HeardOfRun(run, stage.number, heard_by_task(rows, per_task)))
                break
    return found


def heard_by_task(rows: Sequence[Heard], per_task: int = 0) -> list[HeardOfTask]:
    """The counts of each task, in the order of the rows.

    Args:
        rows: What was asked.
        per_task: Show at most so many questions of a task.
    """
    found = []
    for task in dict.fromkeys(row.task for row in rows):
        own = [row for row in rows if row.task == task]
        swapped = [row.changed_swapped for row in own if row.changed_swapped is not None]
        shown = sorted(own, key=lambda row: (row.changed_without + bool(row.changed_swapped), row.id))[:per_task]
        without = sum(row.changed_without for row in own)
        found.append(HeardOfTask(task, len(own), without, len(swapped), sum(swapped), shown))
    return found
