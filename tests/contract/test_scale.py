"""Signs and decimals by unit and direction."""

from __future__ import annotations

import pytest

from inscl.contract.scale import PERCENT, Scale

NATS = Scale("nats", "lower")


def test_lost_is_positive_where_it_got_worse() -> None:
    assert PERCENT.lost(80, 50) == 30
    assert NATS.lost(0.5, 2.0) == 1.5
    assert Scale("number", "higher").lost(1, 3) == -2


def test_decimals_follow_the_unit() -> None:
    assert PERCENT.text(12.345) == "12.3"
    assert NATS.text(1.23456) == "1.235"
    assert NATS.text(0.5, "+") == "+0.500"
    assert (PERCENT.points, NATS.points) == ("points", "nats")


def test_a_loss_is_in_nats_and_better_when_lower() -> None:
    assert NATS.is_loss
    assert not any(scale.is_loss for scale in (PERCENT, Scale("nats", "higher"), Scale("percent", "lower")))
    assert Scale(**NATS.to_json()) == NATS


def test_a_unit_or_direction_that_nothing_could_follow_is_refused_with_those_there_are() -> None:
    with pytest.raises(ValueError, match="unit is 'seconds'; it must be one of percent, nats, number"):
        Scale("seconds")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="better is 'smaller'; it must be one of higher, lower"):
        Scale("nats", "smaller")  # type: ignore[arg-type]
