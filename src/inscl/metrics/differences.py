"""Differences of scores, in their unit: transfer, forgetting, intransigence, and what general ability gained."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from inscl.contract.scale import Better
from inscl.errors import ConfigError
from inscl.metrics.matrix import Floats, checked_experts, checked_matrix, mean

__all__ = ["backward_transfer", "forgetting", "forward_transfer", "general_delta", "intransigence"]


def backward_transfer(scores: ArrayLike, better: Better = "higher") -> float:
    r"""What learning later tasks did to earlier ones: :math:`\frac{1}{T-1} \sum_{j<T} (R_{T,j} - R_{j,j})`.

    GEM (Lopez-Paz & Ranzato, 2017), CITB and EasyCL; SAPT divides by T. Negative means forgetting.
    """
    matrix = _upward(scores, better)
    return mean((matrix[-1] - np.diagonal(matrix[1:]))[:-1])


def forward_transfer(scores: ArrayLike, better: Better = "higher") -> float:
    r"""What learning earlier tasks did to later ones: :math:`\frac{1}{T-1} \sum_{j \ge 2} (R_{j-1,j} - R_{0,j})`.

    GEM (Lopez-Paz & Ranzato, 2017), whose baseline is the model before it learned anything: here the base model.
    """
    matrix = _upward(scores, better)
    return mean((np.diagonal(matrix[:-1]) - matrix[0])[1:])


def forgetting(scores: ArrayLike, better: Better = "higher") -> float:
    r"""How far each earlier task ended below its best; of a loss, above its least.

    .. math:: \frac{1}{T-1} \sum_{j<T} \Big( \max_{j \le i < T} R_{i,j} - R_{T,j} \Big)

    Chaudhry et al. (2018), who define scores for tasks already learned only; SAPT "F.Ra". The best is therefore sought
    from stage j on: whether row 0 or a task not yet learned was evaluated too doesn't change it.
    """
    matrix = _upward(scores, better)
    best = [matrix[j + 1 : -1, j].max() for j in range(matrix.shape[1] - 1)]
    return mean(np.array(best) - matrix[-1, :-1])


def intransigence(scores: ArrayLike, experts: ArrayLike, better: Better = "higher") -> float:
    r"""How far a task just learned stays below its expert: :math:`\frac1T \sum_j (S_j - R_{j,j})`.

    Chaudhry et al. (2018), with the expert for their jointly trained model.
    """
    missing = checked_experts(experts, scores) - np.diagonal(checked_matrix(scores)[1:])
    return mean(missing if better == "higher" else -missing)


def general_delta(general: ArrayLike, stage: int | None = None, better: Better = "higher") -> float:
    r"""What learning did to general ability: the change since the base model, a mean over tasks that are held out.

    .. math:: \Delta R^G_t = \frac1M \sum_{m=1}^M (R^G_{t,m} - R^G_{0,m})

    TRACE (Wang et al., 2023), whose general benchmarks are tasks that are scored and never learned.

    Args:
        general: Shape (stages + 1, M), row 0 the base model, NaN where not evaluated.
        stage: t; None means the last row.
        better: Which direction is good; a positive delta is a gain either way.
    """
    matrix = np.asarray(general, dtype=np.float64)
    if matrix.ndim != 2 or 0 in matrix.shape:
        raise ConfigError(f"expected shape (stages + 1, held-out tasks), got {matrix.shape}", "general")
    t = len(matrix) - 1 if stage is None else stage
    if not 0 <= t < len(matrix):
        raise ConfigError(f"stage must be from 0 to {len(matrix) - 1}, got {stage}", "metrics")
    return mean(matrix[t] - matrix[0] if better == "higher" else matrix[0] - matrix[t])


def _upward(scores: ArrayLike, better: Better) -> Floats:
    """The matrix with its sign such that higher is better."""
    matrix = checked_matrix(scores)
    return matrix if better == "higher" else -matrix
