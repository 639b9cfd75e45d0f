"""Where a fault strikes: the k-th operation of a run that changes its folder, or the k-th step of its work."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

__all__ = ["KINDS", "Point", "arm", "disarm", "passed", "tick"]

_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT
_EVENTS = ("os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.truncate", "os.link", "os.symlink")
KINDS = ("kill", "terminate", "interrupt", "disk full", "read-only", "no memory", "clock")


@dataclass(frozen=True)
class Point:
    """One fault.

    Attributes:
        kind: One of `KINDS`.
        where: ``files`` (open for writing, fsync, rename, remove, mkdir) or ``work`` (training steps, batches of
            answers).
        number: Which of these, counted from 1.
    """

    kind: str
    where: str
    number: int


_counts = {"files": 0, "work": 0}
_point: Point | None = None
_broken = False


def passed() -> dict[str, int]:
    """How many points this process has passed."""
    return dict(_counts)


def tick(where: str) -> None:
    """One more point is passed; the fault strikes before the operation itself."""
    global _broken
    _counts[where] += 1
    if _broken and where == "files":
        _fail_file(_point)
    if _point is None or where != _point.where or _counts[where] != _point.number:
        return
    kind = _point.kind
    if kind == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif kind == "terminate":
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(5)
    elif kind == "interrupt":
        raise KeyboardInterrupt
    elif kind == "no memory":
        raise MemoryError
    elif kind == "clock":
        _jump()
    else:  # from here on the disk is full, or can only be read
        _broken = True
        if where == "files":
            _fail_file(_point)


def _fail_file(point: Point | None) -> None:
    number = 28 if point is not None and point.kind == "disk full" else 30  # ENOSPC, EROFS
    raise OSError(number, os.strerror(number))


def arm(point: Point | None) -> None:
    """Count from here on, in this process and for good, and strike at `point`."""
    global _point
    _point = point
    _counts.update(files=0, work=0)
    real = os.fsync

    def fsync(descriptor: Any) -> None:
        tick("files")
        real(descriptor)

    os.fsync = fsync
    sys.addaudithook(_audit)


def disarm() -> None:
    """Nothing strikes any more."""
    global _point, _broken
    _point, _broken = None, False


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "open":
        path, _, flags = arguments
        if isinstance(path, (str, bytes)) and flags & _WRITES and not os.fsdecode(path).startswith("/dev/"):
            # Removing is possible on a full disk, and so is looking.
            tick("files")
    elif event in _EVENTS and not (_broken and _point and _point.kind == "disk full" and event != "os.mkdir"):
        tick("files")


def _jump(real: Callable[[], float] = time.time) -> None:
    """Back by ten years, and on the next jump forward by twenty."""
    time.time = lambda: real() - 10 * 365 * 86400
