"""Opens a workspace for writing and first cleans up after an interrupted command."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from inscl.contract.seams import NullProgress, Progress
from inscl.engine.open_run import OpenWorkspace
from inscl.storage.files.atomic import remove_partial
from inscl.storage.files.sealed_files import COPIES, read_sealed_json
from inscl.storage.objects.places import held
from inscl.storage.run.ledger import Ledger
from inscl.storage.run.stage_record import Record

__all__ = ["writing"]


@contextmanager
def writing(path: Path, progress: Progress | None = None) -> Iterator[OpenWorkspace]:
    """Open a workspace and hold it for writing while the block runs.

    Raises:
        UserError: There is no workspace.
        WorkspaceError: Another process holds it, or it can't be written.
    """
    Ledger.read(path)  # where there is none, no lock is left behind
    with held(path, (progress or NullProgress()).note):
        opened = OpenWorkspace(path, progress)
        _put_right(opened)
        yield opened


def _put_right(opened: OpenWorkspace) -> None:
    """Clear or move aside whatever the ledger doesn't name."""
    path, ledger = opened.path, opened.ledger
    for folder_written in (path, path / COPIES):
        remove_partial(folder_written)
    known = [opened.folder.stage(number) for number in range(opened.last_stage + 1)]
    known += [opened.next_record(task.name) for task in ledger.pending[:1]]
    for last in known[opened.last_stage :]:
        if last.done:
            last.clear_progress()
    _clear_stages(opened, known)
    numbers = {f"{group.number:02d}" for group in ledger.discarded}
    for group in sorted((path / "discarded").glob("*")):
        if group.name not in numbers:
            shutil.rmtree(group)
    left = set(opened.memory.keys()) - set(ledger.keys)
    if left:
        opened.memory.drop(left)
    if read_sealed_json(path / "manifest.json").get("revision", 1) != ledger.revision:
        opened.folder.drop_scores_of_others()
        opened.write_overview()


def _clear_stages(opened: OpenWorkspace, known: list[Record]) -> None:
    """Delete folders of stages that aren't known; those that a rollback had not moved yet are moved."""
    named = {record.path for record in known}
    for stage in sorted((opened.path / "stages").glob("*")):
        if stage in named:
            continue
        if (target := _place_of_discarded(opened, stage)) is not None:
            target.parent.mkdir(parents=True, exist_ok=True)
            stage.replace(target)
        else:
            shutil.rmtree(stage)


def _place_of_discarded(opened: OpenWorkspace, stage: Path) -> Path | None:
    """Where a stage's folder belongs that a rollback had not moved yet."""
    for group in reversed(opened.ledger.discarded):
        for number, task in enumerate(group.tasks, start=group.first):
            target = opened.discarded_record(group.number, number, task).path
            if target.name == stage.name and not target.exists():
                return target
    return None
