"""What a memory keeps of the tags of a task's instructions, in the form in which they are counted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["TagNeighbours", "TaskTags"]


@dataclass(frozen=True, eq=False)
class TaskTags:
    """The normalised tags of a task's K distinct train instructions, in their order.

    Attributes:
        of: What they were made of and how, as a digest; tags with another one are not used but made anew.
        keys: Shape (K,), uint64: a digest of each instruction, by which tasks that share it are told.
        labels: The different tags.
        sizes: Shape (K,), int32: how many tags each instruction carries.
        numbers: Shape (sum of sizes,), int32: their places in `labels`, instruction after instruction.
    """

    of: str
    keys: NDArray[np.uint64]
    labels: tuple[str, ...]
    sizes: NDArray[np.int32]
    numbers: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.keys)


@dataclass(frozen=True, eq=False)
class TagNeighbours:
    """Which tags lie near which: n tags in the order in which they came to be known.

    Attributes:
        of: By which embedder and within which distance, as a digest.
        tags: The tags.
        directions: Shape (n, d), float32: their vectors, of length 1 or 0.
        pairs: Shape (2, p), int32: numbers of neighbours, each pair both ways and each tag with itself; sorted by the
            later of the two, so that what is known of the first tags comes first.
    """

    of: str
    tags: tuple[str, ...]
    directions: NDArray[np.float32]
    pairs: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.tags)
