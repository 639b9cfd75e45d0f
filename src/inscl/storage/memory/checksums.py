"""Checksums of a memory's files: they detect truncated and changed files."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from inscl.errors import WorkspaceError

__all__ = ["Checksums"]

Files = Mapping[str, tuple[int, str]]

# Files up to this size are compared whole before they are first read. Of larger ones, every row that is read is.
_WHOLE = 1 << 20
_READ = 1 << 20


class Checksums:
    """Size and SHA-256 of each file of one committed state.

    Args:
        folder: The memory's folder; None on object storage, which keeps checksums itself: then nothing is known here.
        files: Path inside the folder to size in bytes and digest.
    """

    def __init__(self, folder: Path | None, files: Files) -> None:
        self.folder, self.files = folder, files
        self._sound: set[str] = set()

    def of(self, paths: Iterable[str]) -> dict[str, tuple[int, str]]:
        """Checksums of the files of the next state: of those known here as they are, of the others from the disk.

        Files that are new are also synced, so that they are on the disk before anything names them.
        """
        found: dict[str, tuple[int, str]] = {}
        folders = set()
        for path in paths if self.folder is not None else ():
            if path in self.files:
                found[path] = self.files[path]
                continue
            file = self._at(path)
            found[path] = (file.stat().st_size, _digest(file))
            _sync(file)
            folders.update({file.parent, file.parent.parent})
        for folder in folders:
            _sync(folder)
        return found

    def check(self, path: str, whole: bool = False) -> None:
        """Refuse a damaged file before it is read for the first time.

        Args:
            path: Inside the folder.
            whole: Compare its content whatever its size.

        Raises:
            WorkspaceError: It is missing, has another size, or another content.
        """
        if self.folder is None or path in self._sound or path not in self.files:
            return
        if wrong := self._wrong(path, whole or self.files[path][0] <= _WHOLE):
            raise WorkspaceError(told([wrong]))
        self._sound.add(path)

    def damaged(self, under: str = "") -> list[str]:
        """Every file whose path begins with `under` and isn't as it was written, with what is wrong."""
        if self.folder is None:
            return []
        return [wrong for path in self.files if path.startswith(under) and (wrong := self._wrong(path))]

    def _wrong(self, path: str, whole: bool = True) -> str | None:
        file, (size, digest) = self._at(path), self.files[path]
        try:
            found = file.stat().st_size
            if found != size:
                return f"{file}: {found} bytes instead of {size}"
            if whole and _digest(file) != digest:
                return f"{file}: its content has changed (checksum)"
        except FileNotFoundError:
            return f"{file}: missing"
        except OSError as error:
            return f"{file}: can't be read ({error.strerror or error})"
        return None

    def _at(self, path: str) -> Path:
        assert self.folder is not None
        return self.folder / path


def told(damaged: Iterable[str]) -> str:
    """The message for damaged files, with what can be done."""
    listed = "; ".join(damaged)
    return (
        f"the memory is damaged: {listed}. Bring the file back from a backup. What other files hold can still be read, "
        "and a task whose file is lost can be dropped and learned again."
    )


def _digest(path: Path) -> str:
    hashed = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_READ):
            hashed.update(block)
    return hashed.hexdigest()


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
