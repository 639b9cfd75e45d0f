"""The finished parts of an unfinished stage: learned or not, answers so far. Deleted when the stage counts."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from inscl.errors import WorkspaceError
from inscl.storage.files.atomic import write_json
from inscl.storage.files.integrity import content_digest, damaged, digests, seal, sealed_value

__all__ = ["PROGRESS", "Answers", "StageProgress", "clear_leftovers"]

PROGRESS = "progress"
_LEARNED = "learned.json"


class Answers:
    """Answers so far, written one line per batch, so that an interruption loses none of them.

    A line that an interruption cut, or that a disk spoiled, is as if it weren't there.

    Args:
        folder: Where the file is; made when needed. None keeps nothing.
        question: Everything that decides the answers: what is asked of which state, in which batches.
    """

    def __init__(self, folder: Path | None, question: Any) -> None:
        self.path = None if folder is None else folder / f"{content_digest(question)[:32]}.jsonl"

    def read(self) -> dict[str, list[Any]]:
        """What was kept: name of the part -> its answers.

        Raises:
            WorkspaceError: The file can't be read.
        """
        found: dict[str, list[Any]] = {}
        if self.path is None or not self.path.exists():
            return found
        try:
            lines = self.path.read_bytes().split(b"\n")
        except OSError as error:
            raise WorkspaceError(f"can't read {self.path}: {error.strerror or error}; delete it") from error
        for line in lines:
            row = _sealed(line)
            if row is not None:
                found[row["part"]] = row["answers"]
        return found

    def keep(self, part: str, answers: Sequence[Any]) -> None:
        """Keep the answers of one part; they are on the disk when this returns.

        Raises:
            WorkspaceError: They can't be written.
        """
        if self.path is None:
            return
        line = json.dumps(seal({"part": part, "answers": list(answers)}))
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("ab") as file:
                # A line feed before it too: the line that stands there may have been cut.
                file.write(b"\n" + line.encode() + b"\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise _unwritable(self.path, error) from error


class StageProgress:
    """The folder ``progress`` of a stage: what an interrupted attempt at it has finished.

    Args:
        stage: The stage's folder, which exists.
        belongs: Everything that decides the stage: settings, plan, place. What an attempt at anything else left is
            removed, and so is what is damaged.

    Raises:
        WorkspaceError: The folder can't be written.
    """

    def __init__(self, stage: Path, belongs: Any) -> None:
        self.stage, self.path = stage, stage / PROGRESS
        key = content_digest(belongs)
        mine = _record(self.path / "stage.json").get("key") == key
        if not mine or self.learned is None:
            _remove(_learned_names(stage))
        if not mine:
            _remove([self.path])
            write_json(self.path / "stage.json", seal({"key": key}))

    @property
    def answers(self) -> Path:
        """Where `Answers` are kept."""
        return self.path / "answers"

    @property
    def learned(self) -> dict[str, Any] | None:
        """The record of the training, if it is finished and the files it names are whole: ``files``, ``seconds``."""
        record = _record(self.path / _LEARNED)
        return record if record and not damaged(self.stage, record["files"]) else None

    def keep_learned(self, names: Iterable[str], seconds: float) -> None:
        """Say that the stage is learned, and that `names` (files and folders of the stage) hold what came of it."""
        files = digests(self.stage, names, durable=True)
        write_json(self.path / _LEARNED, seal({"files": files, "seconds": seconds}))
        _remove([self.path / "training"])


def clear_leftovers(stage: Path, keep: Iterable[str] = ()) -> None:
    """Remove what an interrupted attempt left in a stage's folder, but for what the next one may go on from.

    Args:
        stage: The folder.
        keep: Names in it of what stays as well.

    Raises:
        WorkspaceError: Something can't be removed.
    """
    kept = {stage / PROGRESS, *_learned_names(stage), *(stage / name for name in keep)}
    # DONE first: what is being cleared never counts.
    _remove(path for path in sorted(stage.iterdir(), key=lambda path: path.name != "DONE") if path not in kept)


def _learned_names(stage: Path) -> list[Path]:
    """The record of a stage's training, and what it says to be its own: files and folders in the stage's folder."""
    record = stage / PROGRESS / _LEARNED
    names = {name.split("/")[0] for name in _record(record).get("files", {})}
    return [record, *(stage / name for name in sorted(names) if name != PROGRESS)]


def _remove(paths: Iterable[Path]) -> None:
    for path in paths:
        try:
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        except OSError as error:
            raise _unwritable(path, error) from error


def _record(path: Path) -> dict[str, Any]:
    """A sealed record; empty if it isn't there or isn't whole."""
    try:
        return _sealed(path.read_bytes()) or {}
    except OSError:
        return {}


def _sealed(text: bytes) -> dict[str, Any] | None:
    try:
        return sealed_value(json.loads(text))
    except ValueError:
        return None


def _unwritable(path: Path, error: OSError) -> WorkspaceError:
    return WorkspaceError(
        f"can't write {path}: {error.strerror or error}. Nothing was lost: free space or permissions there, then give "
        "the same command again."
    )
