"""The status of a workspace, read only from its state and its last stage."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from inscl.contract.scale import Scale
from inscl.engine.open_run import OpenWorkspace
from inscl.storage.files.disk import disk_of
from inscl.storage.run.ledger import Ledger
from inscl.workspace.plain import Plain
from inscl.workspace.score_history import ScoreHistory, read_histories

__all__ = ["Status", "TaskStatus", "status_of", "undone"]


@dataclass(frozen=True)
class TaskStatus(Plain):
    """One task of a workspace.

    Attributes:
        stage: Which stage learned it.
        name: The task.
        learned: When, UTC.
        train: Train examples as learned.
        test: Test examples as learned.
        scores: Metric -> its history; the leading metric first. Empty where nothing was measured.
        erased: Examples erased since.
        gone: Whether none of its examples is left.
    """

    stage: int
    name: str
    learned: str
    train: int
    test: int
    scores: Mapping[str, ScoreHistory] = field(default_factory=dict)
    erased: int = 0
    gone: bool = False


@dataclass(frozen=True)
class Status(Plain):
    """The status of a workspace.

    Attributes:
        path: Its folder.
        model: The model it began with.
        adapter: ``keep``, ``merge``, ``fresh`` or ``none``.
        metrics: Metric -> its unit and which direction is good; the leading one first.
        tasks: What was learned, in order.
        examples: Examples in the memory, train and test.
        memory_bytes: What the memory takes on disk.
        stages_bytes: What the stages take; their size when they were recorded.
        discarded_bytes: What was rolled back and not pruned takes.
        unfinished: Tasks of which learning was begun and not finished.
        discarded: Stages that were rolled back and not pruned, as ``"3 routing"``.
        problems: What needs doing, such as an erasure that was interrupted.
        keep: What stays of the train examples of a task that was learned: ``examples``, ``instructions`` or ``none``.
    """

    path: str
    model: str
    adapter: str
    metrics: Mapping[str, Scale]
    tasks: tuple[TaskStatus, ...]
    examples: int
    memory_bytes: int
    stages_bytes: int
    discarded_bytes: int
    unfinished: tuple[str, ...] = ()
    discarded: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    keep: str = "examples"


def status_of(opened: OpenWorkspace) -> Status:
    """The status of a workspace; reads nothing that grows with its history but its state.

    Raises:
        WorkspaceError: A file of it is damaged.
    """
    ledger, settings = opened.ledger, opened.settings
    former = [(group, task) for group in ledger.discarded for task in group.tasks]
    kept = [*ledger.tasks, *(task for _, task in former)]
    return Status(
        path=str(opened.path),
        model=settings.model.name,
        adapter=settings.model.adapter_mode,
        metrics=opened.folder.scales,
        tasks=_tasks(opened),
        examples=sum(task.left for task in kept),
        memory_bytes=disk_of(opened.path / "memory"),
        stages_bytes=sum(task.cost.disk for task in ledger.tasks),
        discarded_bytes=sum(task.cost.disk for _, task in former),
        unfinished=tuple(task.name for task in ledger.pending),
        discarded=tuple(
            f"{number} {task.name}"
            for group in ledger.discarded
            for number, task in enumerate(group.tasks, group.first)
        ),
        problems=_problems(ledger, undone(opened)),
        keep=ledger.keep,
    )


def undone(opened: OpenWorkspace) -> list[int]:
    """Stages that count and whose records don't: somebody removed ``DONE`` to have a damaged one done anew."""
    folder = opened.folder
    return [number for number in range(1, opened.last_stage + 1) if not folder.stage(number).done]


def _tasks(opened: OpenWorkspace) -> tuple[TaskStatus, ...]:
    histories = read_histories(opened.folder.stage(opened.last_stage))
    return tuple(
        TaskStatus(
            stage=stage,
            name=task.name,
            learned=task.learned,
            train=task.train,
            test=task.test,
            scores=histories.get(task.name, {}),
            erased=task.erased,
            gone=task.gone,
        )
        for stage, task in enumerate(opened.ledger.tasks, start=1)
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
        named = ledger.erasing.task
        what = "an erasure" if named is None else f"erasing {named!r}"
        found.append(f"{what} was begun and not finished: give the same `inscl erase` again")
    return tuple(found)
