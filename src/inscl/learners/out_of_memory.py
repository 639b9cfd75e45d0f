"""Out of memory while a model is taught or asked: one message that names the setting to lower."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from inscl.errors import ModelError

__all__ = ["memory_enough"]


@contextmanager
def memory_enough(doing: str, key: str) -> Iterator[None]:
    """Whatever says that memory is used up, said in one way.

    Args:
        doing: What the block does, as in ``training``.
        key: The setting to lower, as in ``evaluation.batch_size``.

    Raises:
        ModelError: It is.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        # torch's processor allocator raises a bare RuntimeError, its devices a subclass called OutOfMemoryError.
        words = ("out of memory", "can't allocate memory", "not enough memory", "OutOfMemory")
        told = f"{type(error).__name__}: {error}"
        if not isinstance(error, MemoryError) and not any(word in told for word in words):
            raise
        raise ModelError(
            f"out of memory while {doing} ({str(error).splitlines()[0][:200] if str(error) else 'no details'}): lower "
            f"{key}, or free memory; then give the same command again, which goes on from what is finished"
        ) from error
