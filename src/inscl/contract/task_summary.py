"""What a memory keeps of a task's instructions beside their vectors: a few points that stand for them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["TaskSummary"]


@dataclass(frozen=True, eq=False)
class TaskSummary:
    """A weighted coreset of a task's instruction vectors, as a strategy made it for later plans.

    Attributes:
        of: What it was made of and how, as a digest; a summary with another one is not used but made anew.
        points: Shape (k, d), float32.
        weights: Shape (k,), float64, with the sum 1.
        spread: What it costs to carry the task's vectors to the points.
    """

    of: str
    points: NDArray[np.float32]
    weights: NDArray[np.float64]
    spread: float
