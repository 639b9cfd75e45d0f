"""Allocation against an exact largest-remainder computed with fractions, and its guards."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inscl.errors import ConfigError
from inscl.replay import allocate


def exact_largest_remainder(weights: list[int], budget: int) -> list[int]:
    """Hamilton's method in exact arithmetic: an independent reference."""
    total = sum(weights)
    quotas = [Fraction(w * budget, total) if total else Fraction(budget, len(weights)) for w in weights]
    given_out = [int(q) for q in quotas]
    order = sorted(range(len(weights)), key=lambda j: (-(quotas[j] - given_out[j]), j))
    for j in order[: budget - sum(given_out)]:
        given_out[j] += 1
    return given_out


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=20), st.integers(0, 5000))
def test_equals_the_exact_method(weights: list[int], budget: int) -> None:
    assert allocate(weights, budget).tolist() == exact_largest_remainder(weights, budget)


@given(
    st.lists(st.floats(0, 1e6), min_size=1, max_size=20).flatmap(
        lambda w: st.tuples(st.just(w), st.lists(st.integers(0, 50), min_size=len(w), max_size=len(w)))
    ),
    st.integers(0, 400),
)
def test_never_more_than_there_is_and_the_rest_goes_to_the_others(
    case: tuple[list[float], list[int]], budget: int
) -> None:
    weights, capacity = case
    given_out = allocate(weights, budget, capacity)
    assert (given_out >= 0).all()
    assert (given_out <= capacity).all()
    assert given_out.sum() == min(budget, sum(capacity))


def test_equal_remainders_go_to_the_lower_index() -> None:
    assert allocate([1, 1, 1], 4).tolist() == [2, 1, 1]
    assert allocate([0.1, 0.1, 0.1, 0.1], 6).tolist() == [2, 2, 1, 1]


def test_the_units_go_to_the_largest_remainders_not_to_the_largest_weights() -> None:
    # Quotas 5.1, 3.2, 1.7 of 10: the published code would give the missing unit to the first.
    assert allocate([5.1, 3.2, 1.7], 10).tolist() == [5, 3, 2]


def test_zero_weights_share_evenly() -> None:
    assert allocate([0, 0, 0], 7).tolist() == [3, 2, 2]


def test_a_full_task_leaves_its_rest_to_the_others_in_proportion() -> None:
    # Quotas 10, 5, 5 of 20; the first holds 4, and 16 are shared evenly by the other two.
    assert allocate([2, 1, 1], 20, [4, 100, 100]).tolist() == [4, 8, 8]


def test_zero_weight_tasks_come_last() -> None:
    assert allocate([1, 0], 10, [6, 10]).tolist() == [6, 4]
    assert allocate([1, 0], 6, [6, 10]).tolist() == [6, 0]


def test_no_tasks_and_no_budget() -> None:
    assert allocate([], 5).tolist() == []
    assert allocate([], 5, []).tolist() == []
    assert allocate([1, 2], 0, [3, 3]).tolist() == [0, 0]


def test_huge_and_tiny_weights() -> None:
    assert allocate([1e308, 1e308], 3).tolist() == [2, 1]
    assert allocate([5e-324, 5e-324], 4).tolist() == [2, 2]


@pytest.mark.parametrize("weights", [[-1.0, 2.0], [np.nan, 1.0], [np.inf, 1.0], [[1.0]]])
def test_refuses_weights_that_mean_nothing(weights: list[float]) -> None:
    with pytest.raises(ConfigError, match="weights"):
        allocate(weights, 3)


@pytest.mark.parametrize("budget", [-1, 2.5])
def test_refuses_a_budget_that_is_no_count(budget: float) -> None:
    with pytest.raises(ConfigError, match="budget"):
        allocate([1.0], budget)  # type: ignore[arg-type]


def test_refuses_a_capacity_of_another_length() -> None:
    with pytest.raises(ConfigError, match="capacity"):
        allocate([1.0, 2.0], 3, [1])
