"""Freed memory that the process keeps, so that the next pass needn't ask the system for it page by page.

glibc gives large blocks back as soon as they are freed. Each layer of a pass frees and asks anew for some megabytes,
which the system has to clear each time: an eighth of the processor time of reading on one thread, and a twentieth of
training.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from threading import Lock
from typing import Any

__all__ = ["kept_memory"]

_TRIM, _PAD, _MAP = -1, -2, -3
"""Numbers of glibc's settings (malloc.h): bytes free at the top that are given back, bytes asked for beyond what is
needed, and the least size of a block that is the system's own."""

_KEPT, _BEYOND = 1 << 30, 64 << 20
_LARGEST = 32 << 20  # glibc takes no more
_TRIMMED = 2 * _LARGEST  # where glibc's own adjustment ends

_lock = Lock()
_within = 0


@contextmanager
def kept_memory() -> Iterator[None]:
    """Within this block up to 1 GiB of freed memory is kept; at the end of the outermost one it is given back.

    Afterwards glibc's thresholds are where its own adjustment to large blocks ends. Nothing happens elsewhere than on
    glibc.
    """
    global _within
    libc = _glibc()
    with _lock:
        _within += 1
        if libc is not None and _within == 1:
            for setting, value in ((_MAP, _LARGEST), (_TRIM, _KEPT), (_PAD, _BEYOND)):
                libc.mallopt(setting, value)
    try:
        yield
    finally:
        with _lock:
            _within -= 1
            if libc is not None and not _within:
                libc.mallopt(_TRIM, _TRIMMED)
                libc.mallopt(_PAD, 0)
                libc.malloc_trim(0)


@cache
def _glibc() -> Any:
    """The C library, if it is glibc."""
    try:
        libc = ctypes.CDLL(None)
    except (OSError, TypeError):  # Windows has no such handle
        return None
    return libc if hasattr(libc, "gnu_get_libc_version") else None
