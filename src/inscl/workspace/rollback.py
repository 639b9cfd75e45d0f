"""Going back to an earlier stage, and deleting what was set aside."""

from __future__ import annotations

import shutil
from dataclasses import dataclass

from inscl.engine.open_run import OpenWorkspace
from inscl.errors import UserError
from inscl.storage.files.disk import disk_of
from inscl.storage.files.event_log import note
from inscl.storage.files.provenance import now
from inscl.storage.run.ledger import Discarded, Event
from inscl.workspace.plain import Plain

__all__ = ["Pruned", "RolledBack", "prune", "rollback"]


@dataclass(frozen=True)
class RolledBack(Plain):
    """What `rollback` did: the stage that counts now, the tasks set aside, and where they stand."""

    stage: int
    discarded: tuple[str, ...]
    folder: str | None


@dataclass(frozen=True)
class Pruned(Plain):
    """What `prune` deleted: tasks of discarded stages, and bytes."""

    tasks: tuple[str, ...]
    bytes: int


def rollback(opened: OpenWorkspace, stage: int) -> RolledBack:
    """Let stage `stage` be the last that counts: model, memory and matrix together.

    Later stages are moved to ``discarded``; nothing is deleted until `prune`. A task of which learning was begun and
    not finished is given up.

    Args:
        opened: The workspace, held for writing.
        stage: The stage; 0 is the model as it came.

    Raises:
        UserError: There is no such stage, or its weights were not kept.
    """
    number, ledger, folder = opened.stage_number(stage), opened.ledger, opened.folder
    if number and folder.stage(number).has("learn.json") and not folder.stage(number).keeps_model:
        raise UserError(
            f"the weights of stage {number} were not kept (model.keep is last), so nothing can go on from there"
        )
    away = ledger.tasks[number:]
    waiting = [task.name for task in ledger.pending]
    if not away and not waiting:
        return RolledBack(number, (), None)
    group = Discarded(number=ledger.next_discarded, first=number + 1, when=now(), tasks=away)
    half = [opened.next_record(task).path for task in waiting[:1]]
    names = [task.name for task in away]
    facts = {"stage": number, "tasks": names, "unfinished": waiting}
    # From here on it counts; whatever isn't moved yet is moved by the next command that writes.
    opened.commit(
        tasks=ledger.tasks[:number],
        pending=(),
        discarded=(*ledger.discarded, group) if away else ledger.discarded,
        next_discarded=group.number + 1 if away else group.number,
        history=(*ledger.history, Event(when=group.when, what="rolled back", facts=facts)),
    )
    for given_up in half:
        shutil.rmtree(given_up, ignore_errors=True)
    opened.memory.drop([task.key for task in ledger.pending])
    for place, task in enumerate(away, start=number + 1):
        target = opened.discarded_record(group.number, place, task).path
        target.parent.mkdir(parents=True, exist_ok=True)
        if (stands := folder.stage(place).path).exists():  # somebody may have removed a damaged one
            stands.replace(target)
    opened.folder.drop_scores_of_others()
    opened.write_overview()
    note(opened.path, f"rolled back: to stage {number}; set aside: {', '.join([*names, *waiting])}")
    return RolledBack(number, (*names, *waiting), f"discarded/{group.number:02d}" if away else None)


def prune(opened: OpenWorkspace) -> Pruned:
    """Delete what was rolled back: stages with their weights, and examples that no other task has.

    Args:
        opened: The workspace, held for writing.
    """
    path, ledger = opened.path, opened.ledger
    gone = [task for group in ledger.discarded for task in group.tasks]
    if not gone:
        return Pruned((), 0)
    before = disk_of(path)
    names = tuple(task.name for task in gone)
    event = Event(when=now(), what="pruned", facts={"tasks": list(names)})
    opened.commit(discarded=(), history=(*ledger.history, event))
    shutil.rmtree(path / "discarded", ignore_errors=True)
    opened.memory.drop([task.key for task in gone])
    opened.write_overview()
    freed = before - disk_of(path)
    note(path, f"pruned: {', '.join(names)}; {freed} bytes")
    return Pruned(names, max(0, freed))
