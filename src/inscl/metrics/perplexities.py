"""Of losses, how much of the experts' level is kept: ratios of perplexities, since a share of a loss means nothing."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from inscl.metrics.matrix import Floats, checked_experts, checked_matrix, mean, stage_of

__all__ = ["perplexity_gain", "perplexity_gain_by_stage", "pooled_perplexity_gain", "pooled_perplexity_gain_by_stage"]


def perplexity_gain(losses: ArrayLike, experts: ArrayLike, stage: int | None = None) -> float:
    r"""`relative_gain` for losses: the experts' perplexity on each earlier task over the model's, on average.

    .. math:: \mathrm{Gain}_i = \frac{100}{i-1} \sum_{j<i} \frac{e^{S_j}}{e^{L_{i,j}}}
        = \frac{100}{i-1} \sum_{j<i} \exp(S_j - L_{i,j})

    100 means that nothing was forgotten. It is `relative_gain` of :math:`e^{-L}`, the geometric mean of the
    probabilities that the answers' tokens get.

    Args:
        losses: Shape (T + 1, T), nats: :math:`L_{i,j}` is the loss on task j after stage i.
        experts: Shape (T,), nats.
        stage: i, from 2 to T; None means T.

    Returns:
        Percent; above 100 where later tasks helped. NaN with a single task.
    """
    return mean(100 * np.exp(_saved(losses, experts, stage)))


def perplexity_gain_by_stage(losses: ArrayLike, experts: ArrayLike) -> Floats:
    """`perplexity_gain` after each of the stages 2..T; percent, shape (T - 1,), NaN where undefined."""
    return np.array(
        [perplexity_gain(losses, experts, i) for i in range(2, len(checked_matrix(losses)))], dtype=np.float64
    )


def pooled_perplexity_gain(losses: ArrayLike, experts: ArrayLike, stage: int | None = None) -> float:
    r"""The ratio of the perplexities of the mean losses: the geometric mean of the ratios, each task counting once.

    .. math:: 100 \cdot \exp\Big( \frac{1}{i-1} \sum_{j<i} (S_j - L_{i,j}) \Big)

    A mean of ratios follows the one task with the largest; this one is moved alike by a nat more on any task. Tasks are
    not weighted by their tokens: one with long answers would decide alone, and Relative Gain counts tasks once too.
    It is never above `perplexity_gain` (the inequality of the means).

    Args:
        losses: Shape (T + 1, T), nats.
        experts: Shape (T,), nats.
        stage: i, from 2 to T; None means T.

    Returns:
        Percent. NaN with a single task.
    """
    return float(100 * np.exp(mean(_saved(losses, experts, stage))))


def pooled_perplexity_gain_by_stage(losses: ArrayLike, experts: ArrayLike) -> Floats:
    """`pooled_perplexity_gain` after each of the stages 2..T; percent, shape (T - 1,), NaN where undefined."""
    stages = range(2, len(checked_matrix(losses)))
    return np.array([pooled_perplexity_gain(losses, experts, i) for i in stages], dtype=np.float64)


def _saved(losses: ArrayLike, experts: ArrayLike, stage: int | None) -> Floats:
    """Nats that the model stands below the experts' loss on each task before `stage`."""
    matrix, upper = checked_matrix(losses), checked_experts(experts, losses)
    i = stage_of(matrix, stage, first=2)
    return upper[: i - 1] - matrix[i, : i - 1]
