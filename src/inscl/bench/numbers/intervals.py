r"""Means with 95 % intervals, by the percentile bootstrap and by Student's t.

A grid seldom has more than a handful of orders and seeds, and with so few values the percentile bootstrap is too
narrow: of three values it runs from the smallest to the largest and never beyond, and in general the means of resamples
spread by :math:`\sqrt{(n-1)/n}` of the standard error. The t interval is the wider, careful one where the values are
roughly normal. Both are given, and `inscl.bench.numbers.comparison` calls a difference shown only where both exclude 0.

The percentile bootstrap is Efron's (1979; Efron & Tibshirani, *An Introduction to the Bootstrap*, 1993, chapter 13),
the t interval is Student's (1908); both are recalled here, not copied from a text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inscl.errors import ConfigError

__all__ = ["LEVEL", "SEED", "Estimate", "Interval", "bootstrap_interval", "estimate", "t_interval"]

LEVEL = 0.95
"""The share of intervals that should hold the true mean."""

SEED = 0
"""Seed of the resampling: the same values always get the same interval."""


@dataclass(frozen=True)
class Interval:
    """From `low` to `high`, both included, in the unit of the values."""

    low: float
    high: float

    @property
    def excludes_zero(self) -> bool:
        """Whether 0 lies outside; an end that is exactly 0 includes it."""
        return self.low > 0 or self.high < 0


@dataclass(frozen=True)
class Estimate:
    """The mean of n values.

    Attributes:
        mean: In the unit of the values; None where there are none.
        n: Values behind the mean.
        bootstrap: The percentile bootstrap's interval; None for fewer than two values.
        t: Student's interval; None for fewer than two values.
        undefined: Values that were left out because they are undefined. They are never counted as 0.
    """

    mean: float | None
    n: int
    bootstrap: Interval | None = None
    t: Interval | None = None
    undefined: int = 0


def estimate(values: Sequence[float | None], resamples: int = 10_000, seed: int = SEED) -> Estimate:
    """Mean and both intervals of the values that are defined.

    Args:
        values: One a cell (or a pair of cells); None where undefined.
        resamples: Of the bootstrap.
        seed: Of the bootstrap.

    Raises:
        ConfigError: `resamples` is below 1, or a value is not finite.
    """
    known = _checked([value for value in values if value is not None])
    missing = len(values) - len(known)
    if not len(known):
        return Estimate(None, 0, undefined=missing)
    mean = float(known.mean())
    return Estimate(mean, len(known), bootstrap_interval(known, resamples, seed), t_interval(known), missing)


def bootstrap_interval(
    values: Sequence[float] | NDArray[np.float64], resamples: int = 10_000, seed: int = SEED, level: float = LEVEL
) -> Interval | None:
    r"""The percentile bootstrap's interval of the mean, of 95 % unless another level is asked for.

    n values are drawn with replacement `resamples` times; at 95 % the interval runs from the 2.5th to the 97.5th
    percentile of the means (linear between order statistics). For a handful of values it is too narrow; see the module.

    Args:
        values: Shape (n,).
        resamples: How often to draw.
        seed: Of the drawing.
        level: The share of intervals that should hold the true mean.

    Returns:
        The interval; None for fewer than two values, which say nothing about their spread.

    Raises:
        ConfigError: `resamples` is below 1, or a value is not finite.
    """
    if resamples < 1:
        raise ConfigError(f"resamples must be 1 or more, got {resamples}", "bench")
    known = _checked(values)
    if len(known) < 2:
        return None
    draws = np.random.default_rng(seed).integers(0, len(known), (resamples, len(known)))
    tail = 50 * (1 - level)
    low, high = np.percentile(known[draws].mean(axis=1), [tail, 100 - tail])
    return Interval(float(low), float(high))


def t_interval(values: Sequence[float] | NDArray[np.float64], level: float = LEVEL) -> Interval | None:
    r"""Student's interval of the mean, at 95 % :math:`\bar x \pm t_{0.975,\,n-1}\, s / \sqrt n`.

    Args:
        values: Shape (n,), taken to be independent and roughly normal.
        level: The share of intervals that should hold the true mean.

    Returns:
        The interval, s with n - 1 in its denominator; a single point where all values are the same, None for fewer
        than two values.

    Raises:
        ConfigError: A value is not finite.
    """
    from scipy.special import stdtrit

    known = _checked(values)
    if len(known) < 2:
        return None
    if known.min() == known.max():
        # Floating point would leave a width.
        return Interval(float(known[0]), float(known[0]))
    quantile = float(stdtrit(len(known) - 1, 0.5 + level / 2))
    half = quantile * float(known.std(ddof=1)) / float(np.sqrt(len(known)))
    mean = float(known.mean())
    return Interval(mean - half, mean + half)


def _checked(values: Sequence[float] | NDArray[np.float64]) -> NDArray[np.float64]:
    known = np.asarray(values, dtype=np.float64)
    if known.ndim != 1 or not np.isfinite(known).all():
        raise ConfigError(f"an interval needs finite numbers in one row, got {known.tolist()}", "bench")
    return known
