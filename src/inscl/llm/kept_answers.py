"""Where the answers of language models are kept: in a cache file of this machine, or by somebody who keeps them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Protocol

from inscl.storage.files.cache import Cache, cache_dir

__all__ = ["Keeper", "KeptAnswers", "kept_answers", "kept_by"]


class KeptAnswers(Protocol):
    """The answers to one kind of question, as `inscl.storage.files.cache.Cache` has them."""

    def get(self, texts: Iterable[str], /) -> dict[str, bytes]:
        """The answers that are there, by key."""
        ...

    def put(self, values: Mapping[str, bytes], /) -> None:
        """Keep answers by key; they are safe when it returns."""
        ...

    def alone(self) -> AbstractContextManager[bool]:
        """Others who would ask the same wait while the block runs."""
        ...


Keeper = Callable[[Path, str], KeptAnswers]
"""From a cache file and a fingerprint to the answers."""

_keeper: list[Keeper] = []


def kept_answers(path: Path | None, fingerprint: str) -> KeptAnswers:
    """The answers that a fingerprint names.

    Args:
        path: The cache file; None is ``answers.sqlite`` in the cache folder.
        fingerprint: Of the model, its request and the question.
    """
    path = path or cache_dir() / "answers.sqlite"
    return _keeper[-1](path, fingerprint) if _keeper else Cache(path, fingerprint)


@contextmanager
def kept_by(keeper: Keeper) -> Iterator[None]:
    """Leave keeping to somebody else while the block runs, for all threads: a worker whose own disk may be lost."""
    _keeper.append(keeper)
    try:
        yield
    finally:
        _keeper.remove(keeper)
