"""How a workspace stands, read from its state and its last stage alone."""

from __future__ import annotations

from pathlib import Path

from inscl.config.settings import RunConfig
from inscl.errors import UserError
from inscl.storage.run.ledger import Ledger, Unfinished
from inscl.workspace.opening import disk_of, folder_of, mode_of, settings_of
from inscl.workspace.results import Status, TaskStatus
from inscl.workspace.stages import undone
from inscl.workspace.standings import read_standings

__all__ = ["stage_number", "status_of"]


def status_of(path: Path) -> Status:
    """The status of the workspace in `path`; reads nothing that grows with its history but its state.

    Raises:
        UserError: There is no workspace.
        WorkspaceError: A file of it is damaged.
    """
    ledger = Ledger.read(path)
    settings = settings_of(path)
    former = [(group, task) for group in ledger.discarded for task in group.tasks]
    kept = [*ledger.tasks, *(task for _, task in former)]
    return Status(
        path=str(path),
        model=settings.model.name,
        adapter=mode_of(settings),
        metrics=tuple(settings.evaluation.metrics),
        tasks=_tasks(path, settings, ledger),
        examples=sum(task.train + task.test - task.erased for task in kept),
        memory_bytes=disk_of(path / "memory") if (path / "memory").exists() else 0,
        stages_bytes=sum(task.cost.disk for task in ledger.tasks),
        discarded_bytes=sum(task.cost.disk for _, task in former),
        unfinished=tuple(task.name for task in ledger.pending),
        discarded=tuple(
            f"{number} {task.name}"
            for group in ledger.discarded
            for number, task in enumerate(group.tasks, group.first)
        ),
        problems=_problems(ledger, undone(path, settings, ledger)),
    )


def _tasks(path: Path, settings: RunConfig, ledger: Ledger) -> tuple[TaskStatus, ...]:
    standings = read_standings(folder_of(path, settings, ledger).stage(len(ledger.tasks)))
    return tuple(
        TaskStatus(
            stage=stage,
            name=task.name,
            learned=task.learned,
            train=task.train,
            test=task.test,
            scores=standings.get(task.name, {}),
            erased=task.erased,
        )
        for stage, task in enumerate(ledger.tasks, start=1)
    )


def _problems(ledger: Ledger, missing: list[int]) -> tuple[str, ...]:
    found = []
    if missing:
        found.append(f"stages {', '.join(map(str, missing))} aren't recorded whole: `inscl learn` does them anew")
    if ledger.pending:
        names = ", ".join(task.name for task in ledger.pending)
        found.append(
            f"learning {names} was begun and not finished: `inscl learn` without data goes on, `inscl rollback "
            f"{len(ledger.tasks)}` gives it up"
        )
    if ledger.erasing:
        named = ledger.erasing.task if isinstance(ledger.erasing, Unfinished) else None
        what = "an erasure" if named is None else f"erasing {named!r}"
        found.append(f"{what} was begun and not finished: give the same `inscl erase` again")
    return tuple(found)


def stage_number(ledger: Ledger, stage: int | None) -> int:
    """A stage of the workspace; None is the last.

    Raises:
        UserError: There is no such stage.
    """
    last = len(ledger.tasks)
    number = last if stage is None else stage
    if not 0 <= number <= last:
        raise UserError(f"there is no stage {number}: the workspace has stages 0 (the base model) to {last}")
    return number
