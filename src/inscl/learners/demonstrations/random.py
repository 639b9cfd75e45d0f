"""Random examples of a task."""

from __future__ import annotations

from inscl.learners.demonstrations.pool import Pool

__all__ = ["random"]


def random(pool: Pool) -> list[int]:
    """Candidates drawn without replacement: the baseline *random* of Zhao et al. (arXiv 2405.19874)."""
    return [int(place) for place in pool.chance.permutation(len(pool.candidates))[: pool.count]]
