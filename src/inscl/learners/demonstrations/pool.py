"""What demonstrations of a task are chosen from, and by what."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from inscl.contract import Example
from inscl.contract.seams import Embedder

__all__ = ["Pool", "Selection"]


@dataclass(frozen=True)
class Pool:
    """The candidates of one task.

    Attributes:
        candidates: Examples to choose from; none of `chosen` is among them.
        chosen: Demonstrations that the task has already, best first.
        count: How many more are wanted; at most the number of candidates.
        chance: Where randomness comes from.
        embed: Texts to vectors.
        value: How well held-out questions of the task are answered after these demonstrations; higher is better. None
            where the task has no example to hold out.
    """

    candidates: Sequence[Example]
    chosen: Sequence[Example]
    count: int
    chance: np.random.Generator
    embed: Embedder
    value: Callable[[Sequence[Example]], float] | None = None


Selection = Callable[[Pool], list[int]]
"""A way of choosing: a pool -> at most `Pool.count` different positions in its candidates, best first."""
