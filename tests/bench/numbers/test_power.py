"""Power against simulation with known truth."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from inscl.bench.numbers.power import detectable, pairs_needed, power_of, power_of_pairs, sd_interval
from inscl.errors import ConfigError


def share_found(delta: float, sd: float, n: int, alpha: float, times: int = 20_000) -> float:
    draws = np.random.default_rng(0).normal(delta, sd, (times, n))
    return float((stats.ttest_1samp(draws, 0, axis=1).pvalue < alpha).mean())


@pytest.mark.parametrize(
    ("delta", "sd", "n", "alpha"), [(5, 6, 8, 0.05), (3, 10, 3, 0.05), (-4, 5, 20, 0.01), (0, 2, 5, 0.05)]
)
def test_power_is_the_share_of_simulated_grids_that_find_the_difference(
    delta: float, sd: float, n: int, alpha: float
) -> None:
    assert power_of(delta, sd, n, alpha) == pytest.approx(share_found(delta, sd, n, alpha), abs=0.012)


@pytest.mark.parametrize("n", [2, 3, 5, 8, 40])
def test_the_detectable_difference_is_found_four_times_in_five(n: int) -> None:
    delta = detectable(7.0, n)
    assert share_found(delta, 7.0, n, 0.05) == pytest.approx(0.8, abs=0.012)


def test_the_pairs_needed_are_the_fewest() -> None:
    for sd, delta in ((3.0, 3.0), (10.0, 3.0), (1.0, 30.0)):
        n = pairs_needed(sd, delta)
        assert n is not None
        assert power_of(delta, sd, n) >= 0.8
        assert n == 2 or power_of(delta, sd, n - 1) < 0.8
    assert pairs_needed(1e4, 1.0) is None
    assert pairs_needed(0.0, 1.0) == 2


def test_the_interval_of_a_deviation_holds_the_true_one() -> None:
    rng = np.random.default_rng(1)
    held = [
        low <= 4 <= high for low, high in (sd_interval(float(rng.normal(0, 4, 5).std(ddof=1)), 5) for _ in range(4000))
    ]
    assert np.mean(held) == pytest.approx(0.95, abs=0.012)


def test_looks_are_paid_for() -> None:
    values = [3.0, 5.0, -1.0, 4.0]
    once, four = power_of_pairs(values, 3.0), power_of_pairs(values, 3.0, looks=4)
    assert once.detectable < four.detectable  # type: ignore[operator]
    assert once.needed < four.needed  # type: ignore[operator]
    assert once.sd == four.sd == pytest.approx(np.std(values, ddof=1))
    # Stopping at any of four looks at pairs that differ by nothing: at most one grid in twenty finds something.
    draws = np.random.default_rng(2).normal(0, 1, (8000, 16))
    stopped = np.zeros(8000, bool)
    for looked in (4, 8, 12, 16):
        stopped |= stats.ttest_1samp(draws[:, :looked], 0, axis=1).pvalue < 0.05 / 4
    assert stopped.mean() < 0.05


def test_of_one_pair_or_none_nothing_can_be_said() -> None:
    assert power_of_pairs([], 3.0).mean is None
    one = power_of_pairs([2.0], 3.0)
    assert (one.mean, one.sd, one.detectable, one.needed) == (2.0, None, None, None)
    with pytest.raises(ConfigError) as told:
        power_of_pairs([1.0, 2.0], 0.0, looks=0)
    assert [problem.key for problem in told.value.problems] == ["target", "looks"]
