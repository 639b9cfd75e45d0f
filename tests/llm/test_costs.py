from __future__ import annotations

import pytest

from inscl.llm.costs import Estimate, Prices, Spent


def test_costs_add_up_and_an_unknown_price_leaves_the_other() -> None:
    assert Spent(1, 2, 3, 0.5) + Spent(1, 1, 1, 0.25) == Spent(2, 3, 4, 0.75)
    assert Spent(1, 2, 3) + Spent(0, 0, 0, 0.25) == Spent(1, 2, 3, 0.25)
    assert Estimate(1, 2, 3) + Estimate(1, 1, 1) == Estimate(2, 3, 4)
    assert str(Spent(1000, 2000, 3, 0.5)) == "1,000 requests: 2,000 tokens in, 3 out, for 0.50"
    assert str(Estimate(1, 2, 3)) == "1 requests: about 2 tokens in, 3 out"


def test_a_price_needs_both_prices_and_none_is_negative() -> None:
    assert Prices(1.0, 2.0).of(1_000_000, 500_000) == pytest.approx(2.0)
    assert Prices(1.0).of(1, 1) is None
    assert [problem.key for problem in Prices(-1, -2).problems()] == [
        "price_per_million_input",
        "price_per_million_output",
    ]
