"""Machines that work on one address, and what stands for their end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from inscl.storage.objects.places import held, local_folder


class Killed(BaseException):
    """Stands for the end of a process: nothing catches it, and no clean-up reaches the storage."""


class Machine:
    """A machine of its own: its local copies, and what it does with a folder at an address."""

    def __init__(self, name: str, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.name, self._folder, self._patch = name, folder, patch

    def here(self) -> None:
        self._patch.setenv("INSCL_COPIES", str(self._folder / self.name))

    def write(self, address: str, files: Mapping[str, str | None], during: Callable[[], None] = lambda: None) -> Path:
        """Open it for writing and write or remove files."""
        self.here()
        folder = local_folder(address, new=True)
        with held(folder):
            for name, text in files.items():
                if text is None:
                    (folder / name).unlink()
                else:
                    (folder / name).parent.mkdir(parents=True, exist_ok=True)
                    (folder / name).write_text(text)
            during()
            self.here()
        return folder

    def read(self, address: str) -> dict[str, str]:
        """All files there, but for the lock."""
        self.here()
        return contents(local_folder(address))


def contents(folder: Path) -> dict[str, str]:
    files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    return {name: path.read_text() for name, path in files.items() if name != ".lock"}
