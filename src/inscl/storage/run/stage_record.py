"""One stage's folder: its records, and the seal that makes it count and reveals damage."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from inscl.errors import WorkspaceError
from inscl.storage.files.atomic import REMEDY, json_text, jsonl_text, read_json, read_jsonl, write_json, write_text
from inscl.storage.files.integrity import damaged, digests, seal, sealed_value
from inscl.storage.files.sealed_files import copy_of, seal_problem
from inscl.storage.run.progress import PROGRESS, StageProgress, clear_leftovers

__all__ = ["DONE", "Record", "refuse_damage"]

DONE = "DONE"


def _all_but(names: Sequence[str]) -> Callable[[str, list[str]], list[str]]:
    return lambda _, found: [name for name in found if name not in names]


def refuse_damage(folder: Path) -> None:
    """See that what a run folder says of itself and of its stages is as it was written, weights aside.

    Raises:
        WorkspaceError: A file is damaged; the message says which and what to do.
    """
    for name in ("inscl.yaml", "manifest.json"):
        if problem := seal_problem(folder / name):
            raise WorkspaceError(f"{folder / name} {problem}. Its copy is {copy_of(folder / name)}")
    for mark in sorted([*folder.glob(f"stages/*/{DONE}"), *folder.glob(f"experts/*/{DONE}")]):
        Record(mark.parent, 0, "").check_records()


class Record:
    """One stage's folder. It counts when ``DONE`` is there, which holds the SHA-256 of every file of the stage.

    Without ``DONE``, whatever stands in the folder is done again, but for what ``progress`` vouches for. What is read
    from a stage that counts is held against its checksum first.
    """

    def __init__(self, path: Path, stage: int, task: str) -> None:
        self.path, self.stage, self.task = path, stage, task

    @property
    def done(self) -> bool:
        """Whether the stage was recorded to its end."""
        return (self.path / DONE).exists()

    @property
    def model(self) -> Path:
        """Where the learner's state is kept."""
        return self.path / "model"

    @property
    def keeps_model(self) -> bool:
        """Whether the learner's state is kept, or should be: what is missing then is damage."""
        return any(name.startswith("model/") for name in self.files) if self.done else self.model.exists()

    @property
    def files(self) -> dict[str, list[str]]:
        """The checksums that each file of a recorded stage may have, by its name in the folder.

        A file has two while it is being replaced.

        Raises:
            WorkspaceError: ``DONE`` is damaged.
        """
        path = self.path / DONE
        try:
            content = path.read_bytes()
        except OSError as error:
            raise WorkspaceError(f"can't read {path}: {error.strerror or error}") from error
        try:
            record = sealed_value(json.loads(content))
        except ValueError:
            record = None
        if record is None:
            raise WorkspaceError(f"{path} is damaged: {REMEDY}")
        return {str(name): list(allowed) for name, allowed in record["files"].items()}

    def begin(self, keep: Iterable[str] = ()) -> None:
        """Clear what an interrupted attempt left, but for what `progress` may go on from and the files in `keep`."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise WorkspaceError(f"can't write in {self.path}: {error.strerror or error}") from error
        clear_leftovers(self.path, keep)

    def progress(self, belongs: Any) -> StageProgress:
        """What an interrupted attempt has finished, if it was at the same.

        Args:
            belongs: Everything that decides the stage, as JSON.
        """
        return StageProgress(self.path, belongs)

    def write(self, name: str, value: Any) -> None:
        """Write one JSON record, as in ``plan.json``."""
        self._write(name, json_text(value))

    def write_rows(self, name: str, rows: Iterable[Any]) -> None:
        """Write one JSON-lines record, as in ``replay.jsonl``."""
        self._write(name, jsonl_text(rows))

    def write_scores(self, scores: Mapping[str, Any]) -> None:
        """Write the stage's scores by task."""
        self.write("scores.json", {"schema": 1, "stage": self.stage, "tasks": scores})

    def scores(self) -> dict[str, Any]:
        """The stage's scores by task; empty if it has none.

        Raises:
            WorkspaceError: They are damaged.
        """
        return dict(self.read("scores.json")["tasks"]) if self.has("scores.json") else {}

    def has(self, name: str) -> bool:
        """Whether the stage has a record of that name; one that it should have and is gone counts."""
        return (self.path / name).exists() or (self.done and name in self.files)

    def read(self, name: str) -> Any:
        """Read a JSON record.

        Raises:
            WorkspaceError: It is missing or damaged.
        """
        self.check(name)
        return read_json(self.path / name)

    def rows(self, name: str) -> list[Any]:
        """Read a JSON-lines record; errors as for `read`."""
        self.check(name)
        return read_jsonl(self.path / name)

    def check(self, name: str) -> None:
        """See that a file of the stage, or all under a folder of it, is as it was written.

        Raises:
            WorkspaceError: It isn't; the message says which and what to do.
        """
        listed = self.files if self.done else {}
        wanted = {file: sums for file, sums in listed.items() if file == name or file.startswith(f"{name}/")}
        for file, problem in damaged(self.path, wanted).items():
            raise WorkspaceError(f"{self.path / file} {problem}. What to do: {REMEDY}")

    def check_records(self) -> None:
        """See that every file of the stage but the learner's state is as it was written; errors as for `check`."""
        for name in dict.fromkeys(file.split("/")[0] for file in self.files):
            if name != self.model.name:
                self.check(name)

    def damaged(self) -> dict[str, str]:
        """Every file of the stage that isn't as it was written: name -> what is wrong."""
        try:
            return damaged(self.path, self.files)
        except WorkspaceError:
            return {DONE: "is damaged"}

    def finish(self) -> None:
        """Make the stage count: seal what stands in its folder. What was kept of its progress goes."""
        names = [path.name for path in self.path.iterdir() if path.name not in (DONE, PROGRESS)]
        for name in [name for name in names if name.endswith(".part")]:  # what an interrupted write left
            (self.path / name).unlink(missing_ok=True)
        found = {name: [value] for name, value in digests(self.path, names, durable=True).items()}
        # A file of a stage that counted already is sealed anew only if it is whole: damage stays damage.
        listed = self.files if self.done else {}
        kept = {name: sums for name, sums in listed.items() if found.get(name, [""])[0] not in sums}
        self._seal({**found, **kept})
        self.clear_progress()

    def clear_progress(self) -> None:
        """Remove what is left of the progress of a stage that counts."""
        shutil.rmtree(self.path / PROGRESS, ignore_errors=True)

    def drop_model(self) -> None:
        """Delete the learner's state. The seal forgets it first, so that it is never missed."""
        if not self.model.exists():
            return
        if self.done:
            listed = self.files
            kept = {name: sums for name, sums in listed.items() if not name.startswith("model/")}
            if kept != listed:
                self._seal(kept)
        shutil.rmtree(self.model, ignore_errors=True)

    def drop_files(self, names: Iterable[str]) -> None:
        """Delete files of the stage. The seal forgets them first, so that they are never missed."""
        gone = set(names)
        if self.done:
            self._seal({name: sums for name, sums in self.files.items() if name not in gone})
        for name in gone:
            (self.path / name).unlink(missing_ok=True)

    def change_model(self, change: Callable[[Path], None], only: Sequence[str] = ()) -> int:
        """Change the learner's state of a stage that counts; whenever that is interrupted, each file of it is whole.

        Some may be changed and others not yet: what belongs together stands in one file.

        Args:
            change: Given a copy of its folder to change; it may rewrite files there and leave none out.
            only: The files that are copied for it; empty copies all of them.

        Returns:
            How many files changed.

        Raises:
            WorkspaceError: The state is damaged, or can't be written.
        """
        if not self.model.exists() or (only and not any((self.model / name).exists() for name in only)):
            return 0
        self.check("model")
        copy = self.path / PROGRESS / "model"
        try:
            shutil.rmtree(copy, ignore_errors=True)
            shutil.copytree(self.model, copy, ignore=_all_but(only) if only else None)
            before = digests(copy)
            change(copy)
            after = digests(copy, durable=True)
            changed = [name for name, value in after.items() if before.get(name) != value]
            for name in changed:
                # Both checksums stand until the next `finish`, as for any record that is replaced.
                self._allow(f"model/{name}", after[name])
                (copy / name).replace(self.model / name)
        except OSError as error:
            raise WorkspaceError(f"can't write {self.model}: {error.strerror or error}; {REMEDY}") from error
        self.clear_progress()
        return len(changed)

    def _allow(self, name: str, checksum: str) -> None:
        """Let a file of a stage that counts have this checksum, too."""
        if self.done:
            listed = self.files
            self._seal({**listed, name: [*listed.get(name, [])[-1:], checksum]})

    def _write(self, name: str, text: str) -> None:
        # Both checksums stand until the next `finish`: whichever of the two an interruption leaves is whole.
        self._allow(name, hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest())
        write_text(self.path / name, text)

    def _seal(self, files: Mapping[str, list[str]]) -> None:
        write_json(self.path / DONE, seal({"schema": 1, "files": dict(files)}))
