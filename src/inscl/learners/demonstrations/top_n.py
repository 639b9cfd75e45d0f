"""The examples that help most when each is shown alone."""

from __future__ import annotations

from inscl.learners.demonstrations.pool import Pool

__all__ = ["top_n"]


def top_n(pool: Pool) -> list[int]:
    """The candidates with the highest value, each as the only one beside those chosen already.

    From the readme of the paper's code (Zhao et al., arXiv 2405.19874), where a judge of GPT-4's class gives the value
    and the pool has 100 candidates; here the value is likelihood, a scorer or a judge on held-out examples. Without
    held-out examples the first candidates are taken. Ties go to the first in the data.
    """
    if pool.value is None:
        return list(range(pool.count))
    values = [pool.value([*pool.chosen, candidate]) for candidate in pool.candidates]
    return sorted(range(len(values)), key=lambda place: -values[place])[: pool.count]
