r"""How small a difference a grid could show, and how many seeds a given one would need.

A paired difference d of two methods has mean :math:`\delta` and standard deviation :math:`\sigma` over cells that share
order and seed. Student's two-sided test at level :math:`\alpha` of n pairs finds it with the power

.. math:: P(|T| > t_{1 - \alpha/2,\,n-1}), \quad
    T \sim t_{n-1}\ \text{noncentral with}\ \delta \sqrt n / \sigma

The *minimal detectable difference* is the :math:`\delta` whose power is 80 %. :math:`\sigma` is estimated from the
pairs there are, and of few pairs badly; its own 95 % interval, by :math:`(n-1) s^2 / \sigma^2 \sim \chi^2_{n-1}`, is
therefore told with everything that follows from it. Whoever looks at the results k times, and might stop at any of
them, tests at level :math:`\alpha / k` each time (Bonferroni), which keeps the level whatever the looks have in common.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from inscl.errors import ConfigError, Problem

__all__ = ["ALPHA", "POWER", "Power", "detectable", "pairs_needed", "power_of", "power_of_pairs", "sd_interval"]

ALPHA, POWER = 0.05, 0.8
"""Level of the test, and the power that is asked for."""

_MOST = 100_000


@dataclass(frozen=True)
class Power:
    """What pairs of cells could show.

    Attributes:
        n: Pairs.
        mean: Of the differences, points; None without a pair.
        sd: Their standard deviation, points; None for fewer than two pairs.
        sd_range: Its 95 % interval.
        detectable: The minimal detectable difference with so many pairs, points.
        detectable_range: The same at the ends of the standard deviation's interval.
        needed: Pairs that a difference of `target` would take; None where that is more than can be counted.
        needed_range: The same at the ends of the interval.
        target: The difference that is asked about, points.
    """

    n: int
    mean: float | None
    sd: float | None
    sd_range: tuple[float, float] | None
    detectable: float | None
    detectable_range: tuple[float, float] | None
    needed: int | None
    needed_range: tuple[int | None, int | None] | None
    target: float


def power_of_pairs(differences: Sequence[float], target: float, looks: int = 1) -> Power:
    """What these pairs could show.

    Args:
        differences: One a pair, points.
        target: The difference that is asked about, points, above 0.
        looks: How often the results are looked at, each look by itself a reason to stop.

    Raises:
        ConfigError: An argument is out of range.
    """
    problems = [] if target > 0 else [Problem("target", f"must be above 0, got {target!r}")]
    problems += [] if looks >= 1 else [Problem("looks", f"must be at least 1, got {looks!r}")]
    if problems:
        raise ConfigError(problems, "power")
    n, alpha = len(differences), ALPHA / looks
    mean = float(np.mean(differences)) if n else None
    if n < 2:
        return Power(n, mean, None, None, None, None, None, None, target)
    sd = float(np.std(differences, ddof=1))
    low, high = sd_interval(sd, n)
    return Power(
        n,
        mean,
        sd,
        (low, high),
        detectable(sd, n, alpha),
        (detectable(low, n, alpha), detectable(high, n, alpha)),
        pairs_needed(sd, target, alpha),
        (pairs_needed(low, target, alpha), pairs_needed(high, target, alpha)),
        target,
    )


def sd_interval(sd: float, n: int) -> tuple[float, float]:
    """The 95 % interval of a standard deviation that was estimated from n normal values, n at least 2."""
    from scipy.special import chdtri

    # chdtri takes the upper tail.
    return tuple(sd * math.sqrt((n - 1) / float(chdtri(n - 1, tail))) for tail in (0.025, 0.975))  # type: ignore[return-value]


def power_of(delta: float, sd: float, n: int, alpha: float = ALPHA) -> float:
    """The power of the two-sided t test of n pairs against a difference `delta` in the unit of `sd`; n at least 2."""
    from scipy.special import nctdtr, stdtrit

    if sd == 0:
        return float(delta != 0)
    limit = float(stdtrit(n - 1, 1 - alpha / 2))
    shift = abs(delta) * math.sqrt(n) / sd
    # Far out scipy's series gives nan, where nothing is left of either tail.
    below, above = (float(nctdtr(n - 1, shift, at)) for at in (-limit, limit))
    return (0.0 if math.isnan(below) else below) + 1 - (0.0 if math.isnan(above) else above)


def detectable(sd: float, n: int, alpha: float = ALPHA) -> float:
    """The difference that n pairs find with the power `POWER`, in the unit of `sd`; n at least 2."""
    from scipy.optimize import brentq
    from scipy.special import stdtrit

    if sd == 0:
        return 0.0
    # In units of the standard error; beyond the critical value and four, power is 80 % for any number of pairs.
    most = float(stdtrit(n - 1, 1 - alpha / 2)) * 2 + 8
    ratio = brentq(lambda shift: power_of(shift / math.sqrt(n), 1.0, n, alpha) - POWER, 0.0, most)
    return float(ratio) * sd / math.sqrt(n)


def pairs_needed(sd: float, delta: float, alpha: float = ALPHA) -> int | None:
    """The fewest pairs that find `delta` with the power `POWER`; at least 2, None for more than 100,000."""
    if power_of(delta, sd, 2, alpha) >= POWER:
        return 2
    low, high = 2, 4
    while power_of(delta, sd, high, alpha) < POWER:
        low, high = high, high * 2
        if low > _MOST:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if power_of(delta, sd, middle, alpha) >= POWER else (middle, high)
    return high
