"""One writer per run folder."""

from __future__ import annotations

import errno
import json
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from inscl.data.places import refuse_remote
from inscl.errors import WorkspaceError
from inscl.storage.files.provenance import now

__all__ = ["is_held", "locked"]

# What a disk that is full, can only be read or is broken answers.
_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the folder's lock while the block runs.

    The operating system drops the lock with its process, so that a killed run never keeps its folder. Where a process
    that the dead one had started still keeps it, that is noticed, and the lock is taken over.

    Raises:
        WorkspaceError: Another process holds it (the message says which one, where, since when and with what command),
            or the folder can't be written, be it now or in the block.
        ConfigError: `folder` is an address of object storage.
    """
    refuse_remote(folder)
    path = folder / ".lock"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = _acquired(path)
    except OSError as error:
        raise WorkspaceError(f"can't write in {folder}: {error.strerror or error}; choose another --out") from error
    try:
        yield
    except OSError as error:
        if error.errno not in _DISK:
            raise
        raise WorkspaceError(
            f"{error.filename or folder}: {error.strerror}. Nothing was lost: free space or permissions there, then "
            "give the same command again."
        ) from error
    finally:
        # Nobody holds it any more, so that nobody's name stands in it.
        with suppress(OSError):
            os.ftruncate(descriptor, 0)
        os.close(descriptor)


def is_held(folder: Path) -> bool:
    """Whether a process holds the folder's lock at this moment."""
    import fcntl

    try:
        descriptor = os.open(folder / ".lock", os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _acquired(path: Path) -> int:
    """The descriptor of the lock file, locked and with this process's name in it."""
    import fcntl

    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = _holder(descriptor)
            if not _is_dead(holder):
                os.close(descriptor)
                raise WorkspaceError(
                    f"{path.parent} is in use by another inscl process ({_described(holder)}): wait for it, or work "
                    "in another folder"
                ) from error
            _remove(descriptor, path)
            os.close(descriptor)
            continue
        if _is_the_file(descriptor, path):
            break
        os.close(descriptor)
    me = {
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "since": now(),
        # Without its arguments: what is to be erased, or a key, may stand there.
        "command": " ".join([Path(sys.argv[0]).name, *(a for a in sys.argv[1:2] if a.isalpha())])[:100],
        "started": _started(os.getpid()),
    }
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, json.dumps(me).encode(), 0)
    return descriptor


def _remove(descriptor: int, path: Path) -> None:
    """Remove the lock file of the dead, unless another did so and already has a new one there."""
    import fcntl

    guard = os.open(path.parent, os.O_RDONLY)
    try:
        fcntl.flock(guard, fcntl.LOCK_EX)
        if _is_the_file(descriptor, path):
            path.unlink()
    finally:
        os.close(guard)


def _is_the_file(descriptor: int, path: Path) -> bool:
    """Whether the locked file still is the one of that name: another may have replaced it in between."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _holder(descriptor: int) -> dict[str, Any]:
    """What the holder wrote of itself; empty if that can't be read."""
    try:
        found = json.loads(os.pread(descriptor, 4000, 0))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _described(holder: dict[str, Any]) -> str:
    told = [f"{key} {holder[key]}" for key in ("pid", "host", "since", "command") if holder.get(key)]
    return ", ".join(told) or "unknown"


def _is_dead(holder: dict[str, Any]) -> bool:
    """Whether the process that took the lock is gone for certain: it was on this machine, and it isn't any more."""
    if holder.get("host") != socket.gethostname() or not isinstance(holder.get("pid"), int):
        return False
    try:
        os.kill(holder["pid"], 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    started = _started(holder["pid"])  # another process may have been given its number since
    return bool(started and holder.get("started") and started != holder["started"])


def _started(pid: int) -> str:
    """When a process began, in the system's own count; empty where that isn't told."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""
