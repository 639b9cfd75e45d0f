"""Examples that are not all in memory, with the facts that are known without reading them."""

from __future__ import annotations

import hashlib
import json
from abc import abstractmethod
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from inscl.contract.example import Example

__all__ = ["ExampleTable"]


class ExampleTable(Sequence["Example"]):
    """One split of a task that is read on demand; a `Task` accepts it in place of a tuple.

    It equals any sequence of equal examples.
    """

    @property
    @abstractmethod
    def instruction_counts(self) -> dict[str, int]:
        """Distinct instructions in order of first appearance, with how many examples carry each."""

    @property
    def distinct(self) -> int:
        """Number of distinct instructions."""
        return len(self.instruction_counts)

    @property
    def instruction_digest(self) -> str:
        """Changes with the distinct instructions, their order and their counts."""
        return hashlib.sha256(json.dumps(list(self.instruction_counts.items())).encode()).hexdigest()

    @property
    @abstractmethod
    def instruction_index(self) -> NDArray[np.int64]:
        """Shape (len,): for every example the number of its instruction in the keys of `instruction_counts`."""

    @property
    @abstractmethod
    def ids(self) -> list[str]:
        """`Example.id` of every example."""

    @abstractmethod
    def at(self, positions: Iterable[int]) -> list[Example]:
        """The examples at many positions, in that order, read at once."""

    def __eq__(self, other: object) -> bool:
        if isinstance(other, (str, bytes)) or not isinstance(other, Sequence):
            return NotImplemented
        return len(self) == len(other) and all(a == b for a, b in zip(self, other, strict=True))

    def __hash__(self) -> int:
        return hash(tuple(self))
