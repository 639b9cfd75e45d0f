"""Signs and decimals by unit and direction."""

from __future__ import annotations

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
