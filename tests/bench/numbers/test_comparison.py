"""Costs, noise and paired differences of a few cells, by hand."""

from __future__ import annotations

import pytest

from bench.cells import record
from inscl.bench.numbers.comparison import ABOVE, NO_DIFFERENCE, cost_mean, noise_floor, paired_difference, verdict
from inscl.bench.numbers.intervals import estimate
from inscl.bench.numbers.observations import Observation, observe
from inscl.bench.show.cost_sheet import against


def cells(*records: dict) -> list[Observation]:
    return observe(records, None)[1]


def test_a_cost_stands_to_the_reference_over_pairs_alone() -> None:
    mine = cells(record("m", seed=0, tokens=1010), record("m", seed=1, tokens=500))
    theirs = cells(record("r", seed=0, tokens=1000), record("r", seed=2, tokens=7))
    found = cost_mean(mine, theirs, "tokens")
    assert (found.mean, found.against, found.matched) == (755, pytest.approx(1.0), True)
    assert cost_mean(mine, [], "tokens").matched is None
    assert cost_mean(mine, cells(record("r", tokens=0)), "tokens").against is None


def test_more_here_and_less_there_is_no_match() -> None:
    theirs = cells(*(record("r", seed=seed, tokens=1000) for seed in range(3)))
    mine = cells(*(record("m", seed=seed, tokens=1000 + more) for seed, more in enumerate((6, -19, 13))))
    found = cost_mean(mine, theirs, "tokens")
    assert (found.against, found.largest, found.matched) == (0.0, pytest.approx(-1.9), False)
    assert against(found) == "0.0 % (up to −1.9 %)"
    free = cells(record("r", tokens=1000), record("r", seed=1, tokens=0))
    assert cost_mean(cells(record("m"), record("m", seed=1)), free, "tokens").matched is False


def test_a_steady_difference_of_two_runs_has_no_spread_to_judge_it_by() -> None:
    assert verdict(estimate([6.25, 6.25])) == NO_DIFFERENCE
    assert verdict(estimate([0.1, 0.1, 0.1])) == NO_DIFFERENCE
    assert verdict(estimate([-0.7] * 7)) == NO_DIFFERENCE
    assert verdict(estimate([6.2, 6.3, 6.25])) == ABOVE


def test_a_difference_that_rounding_left_is_no_difference() -> None:
    mine = cells(*(record("m", 30.1 + 1e-13, seed=seed) for seed in range(3)))
    theirs = cells(*(record("r", 30.1, seed=seed) for seed in range(3)))
    found = paired_difference(mine, theirs, "relative_gain_final", 200)
    assert (found.estimate.mean, found.estimate.n, found.verdict) == (0.0, 3, NO_DIFFERENCE)


def test_noise_is_between_seeds_of_the_same_cell() -> None:
    found = noise_floor(cells(record(last=40.0), record(last=43.0, seed=1), record("x", 0.0)), "backward_transfer")
    assert (found.mean, found.pairs) == (3.0, 1)


def test_noise_counts_copies_of_a_row_once() -> None:
    pair = [record(last=40.0), record(last=43.0, seed=1)]
    copies = [record("copy", last=40.0), record("copy", last=43.0, seed=1)]
    half = [record("half", last=40.0), record("half", last=42.0, seed=1)]
    found = noise_floor(cells(*pair, *copies, *half), "backward_transfer")
    assert (found.mean, found.pairs) == (2.5, 2)
    other = [{**one, "experts": {"rouge_l": [40.0, 80.0]}} for one in copies]
    assert noise_floor(cells(*pair, *other), "backward_transfer").pairs == 2
