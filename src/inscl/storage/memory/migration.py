"""The memory's first schema: one SQLite file with train examples alone. It is read, and moved on the first write."""

from __future__ import annotations

import json
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from inscl.contract import Example, Task
from inscl.errors import WorkspaceError
from inscl.storage.memory.place import Place

__all__ = ["SqliteMemory"]

_SCHEMA = 1


class SqliteMemory:
    """A memory of schema 1, read-only. Its tasks are known by stage, ``0001`` and on.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def at(cls, place: Place) -> SqliteMemory | None:
        """The one in a memory's folder, if there is one."""
        if place.local is None or not (path := place.local / "memory.sqlite").exists():
            return None
        return cls(path)

    def keys(self) -> tuple[str, ...]:
        """Keys of the tasks, in the order in which they were learned."""
        with self._open() as connection:
            return tuple(f"{stage:04d}" for (stage,) in connection.execute("SELECT stage FROM tasks ORDER BY stage"))

    def task(self, key: str) -> Task:
        """A task; its test split was never kept."""
        query = "SELECT instruction, input, outputs, source FROM examples WHERE stage = ? ORDER BY position"
        with self._open() as connection:
            found = connection.execute("SELECT name FROM tasks WHERE stage = ?", (int(key),)).fetchone()
            if found is None:
                raise WorkspaceError(f"the memory {self.path} has no task under {key!r}")
            name = str(found[0])
            return Task(
                name,
                tuple(
                    Example(_text(instruction), _text(given), tuple(json.loads(outputs)), name, _text(source))
                    for instruction, given, outputs, source in connection.execute(query, (int(key),))
                ),
            )

    def facts(self) -> tuple[dict[str, NDArray[np.float32]], dict[str, tuple[str, ...]]]:
        """Vectors and tags of all instructions."""
        vectors, tags = {}, {}
        with self._open() as connection:
            for stored, vector, labels in connection.execute("SELECT text, vector, tags FROM instructions"):
                if vector is not None:
                    vectors[_text(stored)] = np.frombuffer(vector, dtype="<f4").astype(np.float32)
                if labels is not None:
                    tags[_text(stored)] = tuple(json.loads(labels))
        return vectors, tags

    def delete(self) -> None:
        """Remove the file, once everything in it stands elsewhere."""
        for path in (self.path, *self._beside()):
            path.unlink(missing_ok=True)

    def damage(self) -> list[str]:
        """What SQLite finds wrong with the file."""
        try:
            with self._open() as connection:
                found = [str(row[0]) for row in connection.execute("PRAGMA integrity_check")]
        except WorkspaceError as error:
            return [str(error)]
        return [] if found == ["ok"] else [f"{self.path}: {'; '.join(found)}"]

    def _beside(self) -> list[Path]:
        return [path for end in ("-journal", "-wal", "-shm") if (path := Path(f"{self.path}{end}")).exists()]

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        try:
            with tempfile.TemporaryDirectory() as folder:
                path = self.path
                if beside := self._beside():
                    # A killed process left a journal. SQLite would write the file to go back, so it works on a copy.
                    for file in (self.path, *beside):
                        path = Path(shutil.copy(file, folder))
                    path = Path(folder) / self.path.name
                address = f"file:{quote(str(path.absolute()))}" + ("" if beside else "?mode=ro&immutable=1")
                with closing(sqlite3.connect(address, uri=True, timeout=60)) as connection:
                    schema = connection.execute("PRAGMA user_version").fetchone()[0]
                    if schema > _SCHEMA:
                        raise WorkspaceError(
                            f"{self.path} was written by a newer inscl (schema {schema}): update inscl"
                        )
                    yield connection
        except (OSError, ValueError, sqlite3.Error) as error:
            raise WorkspaceError(
                f"the memory {self.path} can't be read: {error}. If the file is damaged, bring it back from a backup."
            ) from error


def _text(stored: str) -> str:
    """Texts with lone surrogates were kept as JSON behind a NUL; a text of its own that began with NUL was not."""
    if stored.startswith("\0"):
        try:
            return str(json.loads(stored[1:]))
        except ValueError:
            return stored
    return stored
