"""For each question the examples that are most like it."""

from __future__ import annotations

from inscl.embedding.nearness import by_nearness
from inscl.learners.demonstrations.pool import Pool

__all__ = ["by_nearness", "nearest"]


def nearest(pool: Pool) -> list[int]:
    """All candidates: which of them are shown is decided for each question by `by_nearness`."""
    return list(range(len(pool.candidates)))
