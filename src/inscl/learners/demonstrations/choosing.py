"""Which examples of a task become its demonstrations."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from inscl.contract import Example
from inscl.contract.seams import Embedder, Progress
from inscl.learners.demonstrations.diverse import diverse
from inscl.learners.demonstrations.fixed import fixed
from inscl.learners.demonstrations.greedy import greedy
from inscl.learners.demonstrations.kept import KeptTask
from inscl.learners.demonstrations.nearest import nearest
from inscl.learners.demonstrations.pool import Pool, Selection
from inscl.learners.demonstrations.random import random
from inscl.learners.demonstrations.top_n import top_n

__all__ = ["FIT", "SELECTIONS", "Choosing"]

FIT = "fit"

SELECTIONS: Mapping[str, Selection] = MappingProxyType(
    {"fixed": fixed, "random": random, "nearest": nearest, "diverse": diverse, "top_n": top_n, "greedy": greedy}
)
_SCORED = ("top_n", "greedy")


@dataclass(frozen=True)
class Choosing:
    """How demonstrations are chosen when a task is learned.

    Attributes:
        selection: Key of `SELECTIONS`.
        k: How many; `FIT` for as many as the context holds.
        held_out: Most examples of a task that ``top_n`` and ``greedy`` hold out to compare candidates by.
        pool: Most candidates that they compare.
        context: Tokens that all demonstrations of a prompt may take.
        size: Tokens that one takes.
        embed: Texts to vectors.
        value: Demonstrations and held-out examples -> how well these are answered after those; higher is better.
        seed: With the name of a task it decides everything random.
        progress: Who is told.
    """

    selection: str
    k: int | str
    held_out: int
    pool: int
    context: int
    size: Callable[[Example], int]
    embed: Embedder
    value: Callable[[Sequence[Example], Sequence[Example]], float]
    seed: int
    progress: Progress

    def choose(self, task: str, examples: Sequence[Example], before: KeptTask | None) -> KeptTask:
        """What is kept of a task.

        Args:
            task: Its name.
            examples: All that there is of it now.
            before: What was kept until now. Demonstrations that are still among the examples stay.
        """
        distinct = {example.id: example for example in examples}
        stay = [one for one in (before.demonstrations if before else ()) if one.id in distinct]
        chosen = {one.id for one in stay}
        fitting = [one for one in distinct.values() if one.id not in chosen and self.size(one) <= self.context]
        if too_long := len(distinct) - len(stay) - len(fitting):
            self.progress.note(
                f"task {task}: {too_long} of {len(distinct)} examples are longer than the context of {self.context} "
                "tokens by themselves and never shown"
            )
        if self.selection == "nearest":
            kept = [*stay, *fitting]
        else:
            kept = self._within([*stay, *self._selected(task, fitting, stay)])
        self._tell(task, len(kept), len(distinct))
        # Instructions are kept even where no example of them is replayed: by them a question finds its task.
        known = before.instructions if before else ()
        now = (example.instruction for example in distinct.values())
        return KeptTask(tuple(kept), tuple(dict.fromkeys([*known, *now])))

    def _selected(self, task: str, fitting: Sequence[Example], stay: Sequence[Example]) -> list[Example]:
        """What the selection adds to the demonstrations that stay."""
        chance = np.random.default_rng(list(hashlib.sha256(f"{self.seed}/{task}".encode()).digest()))
        wanted = (self._most(fitting) if self.k == FIT else int(self.k)) - len(stay)
        if wanted <= 0:
            return []
        candidates, value = list(fitting), None
        if self.selection in _SCORED:
            order = chance.permutation(len(candidates))
            count = min(self.held_out, len(candidates) // 2)
            asked = [candidates[place] for place in order[:count]]
            candidates = [candidates[place] for place in order[count : count + self.pool]]
            if asked:
                value = self._valued(task, asked)
            else:
                self.progress.note(f"task {task}: too few examples to hold some out, so none are compared")
        wanted = min(wanted, len(candidates))
        pool = Pool(candidates, stay, wanted, chance, self.embed, value)
        return [candidates[place] for place in SELECTIONS[self.selection](pool)]

    def _valued(self, task: str, asked: Sequence[Example]) -> Callable[[Sequence[Example]], float]:
        """`value` on these held-out examples; progress is told of each call."""
        self.progress.phase(f"choose demonstrations of {task}", self.pool)
        done = 0

        def value(demonstrations: Sequence[Example]) -> float:
            nonlocal done
            found = self.value(demonstrations, asked)
            done += 1
            self.progress.advance(done)
            return found

        return value

    def _most(self, examples: Sequence[Example]) -> int:
        """How many of the examples the context can hold at most."""
        sizes = np.cumsum(sorted(map(self.size, examples)))
        return int(np.searchsorted(sizes, self.context, side="right"))

    def _within(self, ranked: Sequence[Example]) -> list[Example]:
        """The first of the ranked examples that fit the context together, at most `k`."""
        most = len(ranked) if self.k == FIT else int(self.k)
        sizes = np.cumsum([self.size(example) for example in ranked[:most]])
        return list(ranked[: int(np.searchsorted(sizes, self.context, side="right"))])

    def _tell(self, task: str, kept: int, all_of_it: int) -> None:
        if self.k == FIT:
            if kept < all_of_it:
                self.progress.note(
                    f"task {task}: {kept} of {all_of_it} examples are demonstrations; no more fit {self.context} tokens"
                )
        elif kept < int(self.k):
            self.progress.note(f"task {task}: {kept} of the {self.k} demonstrations that are wanted")
