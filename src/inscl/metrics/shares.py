"""Shares of a score: how much of the experts' level is kept, and how much of what was just learned is lost."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from inscl.errors import ConfigError
from inscl.metrics.matrix import Floats, checked_experts, checked_matrix, mean, ratio, stage_of

__all__ = [
    "forgetting_rate",
    "forgetting_rate_by_task",
    "p_score",
    "relative_gain",
    "relative_gain_average",
    "relative_gain_by_stage",
    "relative_gain_deviation",
]


def relative_gain(scores: ArrayLike, experts: ArrayLike, stage: int | None = None) -> float:
    r"""How much of the experts' level is kept on the earlier tasks; 100 means nothing was forgotten.

    .. math:: \mathrm{Gain}_i = \frac{100}{i-1} \sum_{j<i} \frac{R_{i,j}}{S_j}

    InsCL (Wang et al., NAACL 2024 long 37, section 4; there with Rouge-L).

    Args:
        scores: Shape (T + 1, T).
        experts: Shape (T,).
        stage: i, from 2 to T; None means T.

    Returns:
        Percent; above 100 where later tasks helped. NaN with a single task.
    """
    matrix, upper = checked_matrix(scores), checked_experts(experts, scores)
    return _gain(matrix, upper, stage_of(matrix, stage, first=2))


def relative_gain_by_stage(scores: ArrayLike, experts: ArrayLike) -> Floats:
    """`relative_gain` after each of the stages 2..T; percent, shape (T - 1,), NaN where undefined."""
    matrix, upper = checked_matrix(scores), checked_experts(experts, scores)
    return np.array([_gain(matrix, upper, i) for i in range(2, len(matrix))], dtype=np.float64)


def relative_gain_average(scores: ArrayLike, experts: ArrayLike) -> float:
    """Mean of `relative_gain` over the stages 2..T, percent; InsCL's column AVG."""
    return mean(relative_gain_by_stage(scores, experts))


def relative_gain_deviation(scores: ArrayLike, experts: ArrayLike) -> float:
    """Standard deviation (of the population) of `relative_gain` over the stages 2..T, percent; InsCL's column STD."""
    gains = relative_gain_by_stage(scores, experts)
    return float(gains.std()) if gains.size else float("nan")


def forgetting_rate_by_task(scores: ArrayLike) -> Floats:
    r"""The share of what was just learned that is lost at the end.

    .. math:: FG_j = 100 \cdot \frac{R_{j,j} - R_{T,j}}{R_{j,j}}

    InsCL (Wang et al., NAACL 2024 long 37, section 4).

    Returns:
        Percent, shape (T,); negative where a task got better. The last task's is 0 by definition.
    """
    matrix = checked_matrix(scores)
    learned = np.diagonal(matrix[1:])
    return 100 * ratio(learned - matrix[-1], learned)


def forgetting_rate(scores: ArrayLike, task: int | None = None) -> float:
    """`forgetting_rate_by_task` of one task (its column, from 0), or its mean over all tasks but the last; percent."""
    rates = forgetting_rate_by_task(scores)
    if task is None:
        return mean(rates[:-1])
    if not 0 <= task < len(rates):
        raise ConfigError(f"task must be a column from 0 to {len(rates) - 1}, got {task}", "metrics")
    return float(rates[task])


def p_score(general: ArrayLike, upper: ArrayLike, stage: int | None = None) -> float:
    r"""How much of an upper bound is reached on tasks that are held out: generalisation.

    .. math:: P_t = \frac{100}{M} \sum_{m=1}^M \frac{R^G_{t,m}}{U_m}

    A reconstruction of the P-score of *Don't Half-listen* (arXiv 2403.10056), whose equation wasn't at hand. A run
    takes the scores of its experts for the bounds: models trained on one of the held-out tasks alone.

    Args:
        general: Shape (stages + 1, M), row 0 the base model, NaN where not evaluated; of scores that are better when
            higher.
        upper: Shape (M,), above 0.
        stage: t, from 0; None means the last row.

    Returns:
        Percent; NaN where a score or bound is missing or a bound is 0.

    Raises:
        ConfigError: The shapes don't fit, or there is no such stage.
    """
    matrix, bounds = np.asarray(general, dtype=np.float64), np.asarray(upper, dtype=np.float64)
    if matrix.ndim != 2 or 0 in matrix.shape or bounds.shape != matrix.shape[1:]:
        said = f"expected shapes (stages + 1, held-out tasks) and (held-out tasks,), got {matrix.shape}, {bounds.shape}"
        raise ConfigError(said, "metrics")
    t = len(matrix) - 1 if stage is None else stage
    if not 0 <= t < len(matrix):
        raise ConfigError(f"stage must be from 0 to {len(matrix) - 1}, got {stage}", "metrics")
    return mean(100 * ratio(matrix[t], bounds))


def _gain(matrix: Floats, upper: Floats, i: int) -> float:
    return mean(100 * ratio(matrix[i, : i - 1], upper[: i - 1]))
