"""For each question the examples that are most like it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from inscl.learners.demonstrations.pool import Pool

__all__ = ["by_nearness", "nearest"]

_DECIMALS = 6
"""Of a cosine: an embedder's rounding errors differ from batch to batch, and must not decide a rank."""


def nearest(pool: Pool) -> list[int]:
    """All candidates: which of them are shown is decided for each question by `by_nearness`."""
    return list(range(len(pool.candidates)))


def by_nearness(questions: NDArray[np.float32], candidates: NDArray[np.float32]) -> NDArray[np.int64]:
    r"""The candidates in the order of their likeness to each question.

    .. math:: \cos(q, c) = \frac{q \cdot c}{\lVert q \rVert \lVert c \rVert}

    Args:
        questions: Vectors, shape (n, d).
        candidates: Vectors, shape (m, d).

    Returns:
        Positions of candidates, shape (n, m), most alike first; of equal ones the first in the data.
    """
    from sklearn.metrics.pairwise import cosine_similarity

    likeness = np.round(cosine_similarity(questions.astype(np.float64), candidates.astype(np.float64)), _DECIMALS)
    return np.argsort(-likeness, axis=1, kind="stable")
