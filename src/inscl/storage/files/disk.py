"""The disk space of a folder."""

from __future__ import annotations

from pathlib import Path

from inscl.errors import WorkspaceError

__all__ = ["disk_of"]


def disk_of(place: Path) -> int:
    """Bytes of all files under `place`; 0 if it isn't there.

    Raises:
        WorkspaceError: It can't be read.
    """
    if not place.exists():
        return 0
    try:
        return sum(file.stat().st_size for file in place.rglob("*") if file.is_file())
    except OSError as error:
        raise WorkspaceError(f"can't read {place}: {error.strerror or error}") from error
