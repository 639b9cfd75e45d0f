"""How a budget is split over earlier tasks, in whole examples that add up exactly."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from inscl.errors import ConfigError

__all__ = ["allocate"]

# Remainders that differ by less than this are one float's rounding apart: a tie, which the index decides.
_TIE = 1e-9


def allocate(weights: ArrayLike, budget: int, capacity: Sequence[int] | None = None) -> NDArray[np.int64]:
    r"""Split `budget` whole examples over tasks in proportion to `weights`.

    Largest remainder: with the quota :math:`q_j = budget \cdot w_j / \sum_k w_k`, task j gets :math:`\lfloor q_j
    \rfloor`, and what is left goes one by one to the largest :math:`q_j - \lfloor q_j \rfloor`; equal remainders go to
    the lower index. (InsCL, equation of the dynamic replay, with its integer step repaired: the published code gives
    the units to the largest weights and hands one of two equal weights both.)

    All weights zero means nothing tells the tasks apart: they share evenly. A task never gets more than its capacity;
    what it can't hold goes to the others by the same rule, to zero-weight tasks only when no other has room.

    Args:
        weights: Shape (n,), finite and not negative; for InsCL the transport distances :math:`W_{ji}`.
        budget: Examples to give out, zero or more.
        capacity: Examples that each task has, shape (n,); None means no limit.

    Returns:
        Shape (n,), integers. They sum to ``min(budget, sum(capacity))``, and to 0 for n = 0.

    Raises:
        ConfigError: A weight is negative or not finite, shapes differ, or the budget is negative or not whole.
    """
    w = np.asarray(weights, dtype=np.float64)
    if w.ndim != 1:
        raise ConfigError(f"weights must be a vector, got shape {w.shape}")
    if not (np.isfinite(w).all() and (w >= 0).all()):
        raise ConfigError(f"weights must be finite and not negative, got {w.tolist()}")
    if int(budget) != budget or budget < 0:
        raise ConfigError(f"budget must be a whole number, zero or more, got {budget}")
    given = np.zeros(len(w), dtype=np.int64)
    if capacity is None:
        return given if len(w) == 0 else _largest_remainder(w, int(budget))
    room = _checked_capacity(capacity, len(w))
    left = min(int(budget), int(room.sum()))
    while left > 0:
        open_tasks = np.flatnonzero(given < room)
        share = _largest_remainder(w[open_tasks], left)
        full = share > (room - given)[open_tasks]
        if not full.any():
            given[open_tasks] += share
            break
        # Tasks that can't hold their share are filled up; the others then share what is left anew.
        given[open_tasks[full]] = room[open_tasks[full]]
        left = min(int(budget), int(room.sum())) - int(given.sum())
    return given


def _largest_remainder(weights: NDArray[np.float64], budget: int) -> NDArray[np.int64]:
    peak = weights.max()
    # Dividing by the largest first keeps sums of huge and of tiny weights finite and exact enough.
    scaled = weights / peak if peak > 0 else np.ones_like(weights)
    quota = budget * (scaled / scaled.sum())
    floors: NDArray[np.int64] = np.floor(quota + _TIE).astype(np.int64)
    remainders = np.round((quota - floors) / _TIE)
    order = np.lexsort((np.arange(len(weights)), -remainders))
    missing = budget - int(floors.sum())
    if missing >= 0:
        floors[order[:missing]] += 1
    return floors


def _checked_capacity(capacity: Sequence[int], count: int) -> NDArray[np.int64]:
    room: NDArray[np.int64] = np.asarray(capacity, dtype=np.int64)
    if room.shape != (count,) or bool((room < 0).any()):
        raise ConfigError(f"capacity must hold {count} numbers, zero or more, got {room.tolist()}")
    return room
