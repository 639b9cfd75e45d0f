"""The example that helps most, then the one that helps most beside it, and so on."""

from __future__ import annotations

from inscl.learners.demonstrations.pool import Pool

__all__ = ["greedy"]


def greedy(pool: Pool) -> list[int]:
    """Greedy search: every round adds the candidate with which the demonstrations have the highest value.

    From the readme of the paper's code (Zhao et al., arXiv 2405.19874), which adds three to URIAL's in this way by a
    judge of GPT-4's class; here the value is likelihood, a scorer or a judge on held-out examples. It costs one
    evaluation for each candidate and round. Without held-out examples the first candidates are taken. Ties go to the
    first.
    """
    if pool.value is None:
        return list(range(pool.count))
    found: list[int] = []
    left = list(range(len(pool.candidates)))
    while len(found) < pool.count:
        shown = [*pool.chosen, *(pool.candidates[place] for place in found)]
        values = {place: pool.value([*shown, pool.candidates[place]]) for place in left}
        best = max(left, key=lambda place: (values[place], -place))
        found.append(best)
        left.remove(best)
    return found
