"""Answers of a language model that workers of a Ray cluster ask for, kept on the machine that gave the command.

Answers that are paid for go to the `Keeper` at once, one by one, so that a worker that is lost takes none with it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inscl.errors import InsclError
from inscl.llm.costs import Spent
from inscl.storage.files.cache import Cache

__all__ = ["Keeper", "KeptThere", "Stopped"]

_POLL = 0.5  # seconds


class Keeper:
    """Keeps answers for the workers in the cache of this machine; an actor, which does one thing at a time.

    Args:
        folder: Where relative paths begin.
    """

    def __init__(self, folder: str) -> None:
        self._folder = Path(folder)
        self._claims: dict[tuple[Path, str], ExitStack] = {}
        self._spent: dict[str, Spent] = {}
        self._stopped = False

    def get(self, file: str, fingerprint: str, texts: Sequence[str]) -> dict[str, bytes]:
        """The answers that are there, by key."""
        return Cache(self._folder / file, fingerprint).get(texts)

    def put(self, file: str, fingerprint: str, values: Mapping[str, bytes], worker: str, spent: Spent) -> bool:
        """Keep answers, and what their worker spent so far; gives whether it is to ask no more."""
        Cache(self._folder / file, fingerprint).put(values)
        return self.count(worker, spent)

    def count(self, worker: str, spent: Spent) -> bool:
        """Take over what a worker spent so far; gives whether it is to stop."""
        # What several threads of a worker tell may come in another order.
        self._spent[worker] = max(spent, self._spent.get(worker, spent), key=lambda one: one.requests)
        return self._stopped

    def claim(self, file: str, fingerprint: str) -> bool:
        """Whether the workers may ask: no process outside the cluster asks the same."""
        answers = Cache(self._folder / file, fingerprint)
        if (key := (answers.path, fingerprint)) not in self._claims:
            with ExitStack() as held:
                if held.enter_context(answers.alone(wait=False)):
                    self._claims[key] = held.pop_all()
        return key in self._claims

    def stop(self) -> None:
        """Workers are to begin nothing more."""
        self._stopped = True

    def stopped(self) -> bool:
        """Whether they were told so."""
        return self._stopped

    def spent(self) -> Spent:
        """What all workers spent, those that are lost among them."""
        return sum(self._spent.values(), Spent())

    def leave(self) -> None:
        """Others may ask again."""
        while self._claims:
            self._claims.popitem()[1].close()


class Stopped(InsclError):
    """Raised in a worker that is to begin nothing more; what was answered is kept."""


@dataclass(frozen=True)
class KeptThere:
    """Answers at the keeper, as a worker has them.

    Attributes:
        keeper: The actor.
        file: The cache file, from the folder of the command.
        fingerprint: What the answers are to.
        worker: Who has them.
        spent: What it spent so far.
    """

    keeper: Any
    file: str
    fingerprint: str
    worker: str
    spent: Callable[[], Spent]

    def get(self, texts: Iterable[str]) -> dict[str, bytes]:
        """The answers that are there, by key."""
        import ray

        found: dict[str, bytes] = ray.get(self.keeper.get.remote(self.file, self.fingerprint, list(texts)))
        return found

    def put(self, values: Mapping[str, bytes]) -> None:
        """Keep answers.

        Raises:
            Stopped: They are kept, and the command was interrupted.
        """
        import ray

        kept = self.keeper.put.remote(self.file, self.fingerprint, dict(values), self.worker, self.spent())
        if ray.get(kept):
            raise Stopped("the command was interrupted")

    @contextmanager
    def alone(self) -> Iterator[bool]:
        """Waits until no process outside the cluster asks the same.

        Raises:
            Stopped: The command was interrupted meanwhile.
        """
        import ray

        while not ray.get(self.keeper.claim.remote(self.file, self.fingerprint)):
            if ray.get(self.keeper.stopped.remote()):
                raise Stopped("the command was interrupted")
            time.sleep(_POLL)
        yield True
