"""What of a folder is kept on object storage, and the checksums of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from inscl.data.refined import REJECTED
from inscl.errors import WorkspaceError
from inscl.storage.files.integrity import digest
from inscl.storage.run.progress import PROGRESS
from inscl.storage.run.stage_record import DONE, Record

__all__ = ["is_kept", "survey"]

_STAGES = ("stages", "experts")
_OF_A_MACHINE = ("runs", "slurm")  # of a grid: its records are what counts


def survey(folder: Path, *, trusting: bool = True) -> dict[str, tuple[str, int]]:
    """Path, with forward slashes, of each file that is kept -> its SHA-256 and its size.

    Args:
        folder: The folder.
        trusting: Don't read what a stage that counts has sealed, since its ``DONE`` holds the checksums. Whoever
            uploads the bytes holds them against these.

    Raises:
        WorkspaceError: A file can't be read, or a ``DONE`` is damaged.
    """
    found: dict[str, tuple[str, int]] = {}
    try:
        for path in sorted(folder.rglob("*")):
            name = path.relative_to(folder).as_posix()
            if path.is_file() and is_kept(folder, name):
                found[name] = ("", path.stat().st_size)
        sealed = dict(_sealed(folder)) if trusting else {}
        return {name: (sealed.get(name) or digest(folder / name), size) for name, (_, size) in found.items()}
    except OSError as error:
        raise WorkspaceError(f"can't read {error.filename or folder}: {error.strerror or error}") from error


def is_kept(folder: Path, name: str) -> bool:
    """Whether a file of a folder is kept: not what only this machine needs, nor what an unfinished stage made so far.

    Rows that were set aside are kept even of an unfinished stage: nobody could tell them again without the data.
    """
    parts = name.split("/")
    if parts[0] in _OF_A_MACHINE or parts[-1] == ".lock" or parts[-1].endswith((".part", ".making")):
        return False
    if parts[0] in _STAGES and len(parts) > 2:
        finished = (folder / parts[0] / parts[1] / DONE).exists()
        return parts[2] != PROGRESS and (finished or parts[2:] == [REJECTED])
    return True


def _sealed(folder: Path) -> Iterator[tuple[str, str]]:
    """Files of stages that count, with their one checksum; those that are being replaced have two and are left out."""
    for pattern in ("stages/*", "experts/*", "discarded/*/*"):
        for mark in folder.glob(f"{pattern}/{DONE}"):
            for name, allowed in Record(mark.parent, 0, "").files.items():
                if len(set(allowed)) == 1:
                    yield f"{mark.parent.relative_to(folder).as_posix()}/{name}", allowed[0]
