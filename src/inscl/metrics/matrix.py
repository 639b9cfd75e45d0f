"""What all metrics share: the checked arrays of scores, and means and ratios in which undefined stays undefined."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from inscl.errors import ConfigError

__all__ = ["Floats", "checked_experts", "checked_matrix", "mean", "or_none", "ratio", "stage_of", "task_names"]


Floats = NDArray[np.float64]


def checked_matrix(scores: ArrayLike) -> Floats:
    """A score matrix as an array of shape (T + 1, T).

    Raises:
        ConfigError: It has another shape, or an infinite score.
    """
    matrix = np.asarray(scores, dtype=np.float64)
    if matrix.ndim != 2 or matrix.shape[1] < 1 or matrix.shape[0] != matrix.shape[1] + 1:
        raise ConfigError(
            f"expected shape (T + 1, T), row 0 the base model and then one row a stage, got {matrix.shape}", "scores"
        )
    if np.isinf(matrix).any():
        raise ConfigError("a score is infinite; what was not evaluated is NaN", "scores")
    return matrix


def checked_experts(experts: ArrayLike | None, scores: ArrayLike) -> Floats:
    """The experts' scores, shape (T,); all NaN if there are none.

    Raises:
        ConfigError: There are more or fewer than `scores` has tasks, or one is infinite.
    """
    count = checked_matrix(scores).shape[1]
    if experts is None:
        return np.full(count, np.nan)
    upper = np.asarray(experts, dtype=np.float64)
    if upper.shape != (count,) or np.isinf(upper).any():
        raise ConfigError(f"expected {count} finite scores (or NaN), one a task, got shape {upper.shape}", "experts")
    return upper


def task_names(matrix: Floats, tasks: Sequence[str] | None) -> Sequence[str]:
    """Names of the tasks of a matrix: `tasks`, or "1", "2", ... if None.

    Raises:
        ConfigError: There are more or fewer names than tasks.
    """
    count = matrix.shape[1]
    if tasks is not None and len(tasks) != count:
        raise ConfigError(f"expected {count} names, got {len(tasks)}", "tasks")
    return [str(j) for j in range(1, count + 1)] if tasks is None else tasks


def stage_of(matrix: Floats, stage: int | None, first: int) -> int:
    """The stage that is asked for, the last one if None.

    Raises:
        ConfigError: It is before `first`, or the matrix has no such row.
    """
    last = len(matrix) - 1
    if stage is None:
        return last
    if not first <= stage <= last:
        raise ConfigError(f"stage must be from {first} to {last}, got {stage}", "metrics")
    return stage


def mean(values: Floats) -> float:
    """The mean, NaN if a value is or if there are none."""
    return float(values.mean()) if values.size else float("nan")


def ratio(numerators: Floats, denominators: Floats) -> Floats:
    """Element by element, NaN where the denominator is zero or either is NaN."""
    undefined = np.full_like(numerators, np.nan)
    return np.divide(numerators, denominators, out=undefined, where=denominators != 0)


def or_none(value: float) -> float | None:
    """What JSON has for a number: None where it is undefined."""
    return None if np.isnan(value) else float(value)
