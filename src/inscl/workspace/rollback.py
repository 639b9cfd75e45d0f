"""Going back to an earlier stage, and deleting what was set aside."""

from __future__ import annotations

import shutil
from pathlib import Path

from inscl.errors import UserError
from inscl.storage.files.event_log import note
from inscl.storage.files.provenance import now
from inscl.storage.run.ledger import Discarded, Event
from inscl.workspace.opening import discarded_stage, disk_of, folder_of, settings_of, store_of, write_overview, writing
from inscl.workspace.results import Pruned, RolledBack
from inscl.workspace.status import stage_number

__all__ = ["prune", "rollback"]


def rollback(path: Path, stage: int) -> RolledBack:
    """Let stage `stage` be the last that counts: model, memory and matrix together.

    Later stages are moved to ``discarded``; nothing is deleted until `prune`. A task of which learning was begun and
    not finished is given up.

    Raises:
        UserError: There is no such stage, or its weights were not kept.
    """
    with writing(path) as ledger:
        number = stage_number(ledger, stage)
        settings = settings_of(path)
        folder = folder_of(path, settings, ledger)
        if number and (folder.stage(number).path / "learn.json").exists() and not folder.stage(number).model.exists():
            raise UserError(
                f"the weights of stage {number} were not kept (model.keep is last), so nothing can go on from there"
            )
        away = ledger.tasks[number:]
        waiting = [task.name for task in ledger.pending]
        if not away and not waiting:
            return RolledBack(number, (), None)
        group = Discarded(number=ledger.next_discarded, first=number + 1, when=now(), tasks=away)
        names = [task.name for task in away]
        facts = {"stage": number, "tasks": names, "unfinished": waiting}
        # From here on it counts; whatever isn't moved yet is moved by the next command that writes.
        changed = ledger.changed(
            tasks=ledger.tasks[:number],
            pending=(),
            discarded=(*ledger.discarded, group) if away else ledger.discarded,
            next_discarded=group.number + 1 if away else group.number,
            history=(*ledger.history, Event(when=group.when, what="rolled back", facts=facts)),
        ).write(path)
        for given_up in waiting[:1]:
            half = folder_of(path, settings, ledger, [given_up]).stage(len(ledger.tasks) + 1).path
            shutil.rmtree(half, ignore_errors=True)
        store_of(path).drop([task.key for task in ledger.pending])
        for place, task in enumerate(away, start=number + 1):
            target = discarded_stage(path, group.number, place, task).path
            target.parent.mkdir(parents=True, exist_ok=True)
            folder.stage(place).path.replace(target)
        folder_of(path, settings, changed).drop_scores_of_others()
        write_overview(path, settings, changed)
        note(path, f"rolled back: to stage {number}; set aside: {', '.join([*names, *waiting])}")
        return RolledBack(number, (*names, *waiting), f"discarded/{group.number:02d}" if away else None)


def prune(path: Path) -> Pruned:
    """Delete what was rolled back: stages with their weights, and examples that no other task has."""
    with writing(path) as ledger:
        gone = [task for group in ledger.discarded for task in group.tasks]
        if not gone:
            return Pruned((), 0)
        before = disk_of(path)
        names = tuple(task.name for task in gone)
        changed = ledger.changed(
            discarded=(),
            history=(*ledger.history, Event(when=now(), what="pruned", facts={"tasks": list(names)})),
        ).write(path)
        shutil.rmtree(path / "discarded", ignore_errors=True)
        store_of(path).drop([task.key for task in gone])
        write_overview(path, settings_of(path), changed)
        freed = before - disk_of(path)
        note(path, f"pruned: {', '.join(names)}; {freed} bytes")
        return Pruned(names, max(0, freed))
