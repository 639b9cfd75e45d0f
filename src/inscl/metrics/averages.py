"""Mean scores: levels, in the unit of the scores, whichever direction is good."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from inscl.metrics.matrix import checked_matrix, mean, stage_of

__all__ = ["average_incremental", "average_performance", "forward_transfer_citb"]


def average_performance(scores: ArrayLike, stage: int | None = None) -> float:
    r"""Mean score on the tasks learned so far: :math:`\frac1i \sum_{j \le i} R_{i,j}`.

    At the last stage it is TRACE's OP, O-LoRA's AA and CITB's AR.

    Args:
        scores: Shape (T + 1, T).
        stage: i, from 1 to T; None means T.
    """
    matrix = checked_matrix(scores)
    i = stage_of(matrix, stage, first=1)
    return mean(matrix[i, :i])


def average_incremental(scores: ArrayLike) -> float:
    r"""Mean of `average_performance` over all stages: :math:`\frac1T \sum_k \frac1k \sum_{j \le k} R_{k,j}`.

    EasyCL's "Avg".
    """
    stages = range(1, len(checked_matrix(scores)))
    return mean(np.array([average_performance(scores, k) for k in stages]))


def forward_transfer_citb(scores: ArrayLike) -> float:
    r"""Mean score on each next task before it is learned: :math:`\frac{1}{T-1} \sum_{j \ge 2} R_{j-1,j}`.

    CITB (Zhang et al., 2023), which takes no baseline away.
    """
    return mean(np.diagonal(checked_matrix(scores)[:-1])[1:])
