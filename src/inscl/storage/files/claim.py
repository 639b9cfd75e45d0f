"""Lets one process compute what several processes need."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["claimed"]


@contextmanager
def claimed(path: Path, *, wait: bool) -> Iterator[bool]:
    """Whether the claim is this process's while the block runs; False where another holds it and isn't waited for.

    The operating system drops a claim with its process, so that a killed one keeps nobody waiting.

    Args:
        path: A file that stands for what is claimed; made, and removed at the end.
        wait: Wait until the other is done.

    Raises:
        OSError: The file can't be made or locked.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = _locked(path, wait=wait)
    if descriptor is None:
        yield False
        return
    try:
        yield True
    finally:
        path.unlink(missing_ok=True)
        os.close(descriptor)


def _locked(path: Path, *, wait: bool) -> int | None:
    """The descriptor of the locked file; None where another process holds it and isn't to be waited for."""
    import fcntl

    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(descriptor), path.stat()):
                return descriptor
        except BlockingIOError:
            os.close(descriptor)
            return None
        except FileNotFoundError:
            pass  # who held it was done and removed it between our opening and our locking
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)
