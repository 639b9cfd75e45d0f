"""Intervals, beside scipy's and beside every resample there is."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from scipy import stats

from inscl.bench.numbers.intervals import Interval, bootstrap_interval, estimate, t_interval
from inscl.errors import ConfigError

VALUES = [91.2, 88.0, 95.1, 90.4, 86.9, 93.3, 97.0]


def test_the_bootstrap_is_scipys_percentile_bootstrap() -> None:
    found = bootstrap_interval(VALUES, 40_000)
    theirs = stats.bootstrap(
        (VALUES,), np.mean, n_resamples=40_000, method="percentile", rng=np.random.default_rng(5)
    ).confidence_interval
    assert found is not None
    assert found.low == pytest.approx(theirs.low, abs=0.08)
    assert found.high == pytest.approx(theirs.high, abs=0.08)


def test_of_three_values_it_runs_from_the_least_to_the_greatest() -> None:
    means = sorted(np.mean(draw) for draw in product([1.0, 2.0, 6.0], repeat=3))
    # Each extreme is one resample of 27: more than the 2.5 % that are cut off.
    assert 1 / len(means) > 0.025
    assert bootstrap_interval([1.0, 2.0, 6.0]) == Interval(means[0], means[-1])


def test_the_t_interval_is_scipys() -> None:
    low, high = stats.t.interval(0.95, len(VALUES) - 1, np.mean(VALUES), stats.sem(VALUES))
    found = t_interval(VALUES)
    assert found is not None
    assert (found.low, found.high) == pytest.approx((low, high))


def test_the_t_interval_of_two_by_hand() -> None:
    # s / sqrt(2) of 0 and 2 is 1, and t with one degree of freedom is Cauchy: tan(0.475 pi) = 12.706.
    found = t_interval([0.0, 2.0])
    assert found is not None
    assert (found.low, found.high) == pytest.approx((1 - 12.7062, 1 + 12.7062), abs=1e-4)


def test_the_same_values_have_the_same_interval() -> None:
    assert bootstrap_interval(VALUES) == bootstrap_interval(VALUES)
    assert bootstrap_interval(VALUES) != bootstrap_interval(VALUES, seed=1)


def test_one_value_has_no_interval_and_none_has_no_mean() -> None:
    one, none = estimate([4.0]), estimate([None, None])
    assert (one.mean, one.n, one.bootstrap, one.t) == (4.0, 1, None, None)
    assert (none.mean, none.n, none.undefined) == (None, 0, 2)


def test_undefined_is_left_out_and_counted() -> None:
    found = estimate([10.0, None, 20.0])
    assert (found.mean, found.n, found.undefined) == (15.0, 2, 1)
    assert found.t == t_interval([10.0, 20.0])


@pytest.mark.parametrize(("low", "high", "excludes"), [(0.1, 2, True), (-2, -0.1, True), (0, 2, False), (-1, 1, False)])
def test_zero_at_the_end_is_inside(low: float, high: float, excludes: bool) -> None:
    assert Interval(low, high).excludes_zero is excludes


def test_nonsense_is_refused() -> None:
    with pytest.raises(ConfigError, match="resamples must be 1 or more, got 0"):
        bootstrap_interval(VALUES, 0)
    with pytest.raises(ConfigError, match="finite"):
        t_interval([1.0, float("nan")])
