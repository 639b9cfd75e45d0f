"""Measures of one matrix by hand, and what becomes of Relative Gain where an expert scored 0."""

from __future__ import annotations

import math

import numpy as np
import pytest

from inscl import metrics
from inscl.bench.numbers.measures import MEASURES, measured, measures_of, zero_experts
from inscl.contract.scale import PERCENT, Scale

NAN = math.nan
NATS = Scale("nats", "lower")
TASKS = ["a", "b", "c", "d"]
SCORES = np.array([[5, 5, 5, 5], [50, NAN, NAN, NAN], [40, 7, NAN, NAN], [30, 9, 60, NAN], [20, 3, 45, 70.0]])
ZERO = [50, 0, 60, 80.0]


def test_without_a_zero_the_measures_are_those_of_metrics() -> None:
    experts = [50, 10, 60, 80.0]
    values, reasons = measured(SCORES, experts, TASKS)
    assert not reasons
    assert values == {
        "relative_gain_final": metrics.relative_gain(SCORES, experts),
        "relative_gain_average": metrics.relative_gain_average(SCORES, experts),
        "forgetting_rate": metrics.forgetting_rate(SCORES),
        "average_performance": metrics.average_performance(SCORES),
        "backward_transfer": metrics.backward_transfer(SCORES),
    }


def test_a_task_whose_expert_scored_zero_is_left_out_of_relative_gain_alone() -> None:
    assert zero_experts(ZERO, TASKS) == ("b",)
    values, reasons = measured(SCORES, ZERO, TASKS, ["b"])
    # Stage 2: 40/50. Stage 3: 30/50, b doesn't count. Stage 4: (20/50 + 45/60) / 2.
    assert values["relative_gain_final"] == pytest.approx(57.5)
    assert values["relative_gain_average"] == pytest.approx((80 + 60 + 57.5) / 3)
    assert not reasons
    rest, _ = measured(SCORES, [50, 10, 60, 80], TASKS)
    others = [measure.name for measure in MEASURES if not measure.needs_experts]
    assert len(others) == 3
    assert [values[name] for name in others] == [rest[name] for name in others]


def test_a_stage_with_nothing_that_counts_before_it_has_no_gain() -> None:
    values, _ = measured(SCORES, [0, 10, 60, 80.0], TASKS, ["a"])
    # Stage 2 has only a. Stage 3: 9/10. Stage 4: (3/10 + 45/60) / 2.
    assert values["relative_gain_average"] == pytest.approx((90 + 52.5) / 2)


def test_it_is_undefined_without_leaving_out_and_where_all_are_left_out() -> None:
    values, reasons = measured(SCORES, ZERO, TASKS)
    assert values["relative_gain_final"] is None
    assert "the expert of task b scored 0" in reasons["relative_gain_final"]
    values, reasons = measured(SCORES, [0, 0, 0, 80], TASKS, ["a", "b", "c"])
    assert values["relative_gain_final"] is None
    assert reasons["relative_gain_final"].startswith("the expert of every earlier task scored 0")


def test_what_is_left_out_is_never_given_as_the_reason() -> None:
    holes = SCORES.copy()
    holes[4, 1] = holes[4, 2] = NAN
    values, reasons = measured(holes, ZERO, TASKS, ["b"])
    assert values["relative_gain_final"] is None
    assert reasons["relative_gain_final"] == "R[4][3]: task c after stage 4 was not evaluated"
    _, reasons = measured(SCORES, [50, 0, NAN, 80], TASKS, ["b"])
    assert reasons["relative_gain_final"] == "S[3]: the expert of task c was not evaluated"


def test_the_last_task_and_missing_experts_are_no_zeros() -> None:
    assert zero_experts([50, NAN, 60, 0], TASKS) == ()
    assert zero_experts(None, TASKS) == ()


def test_losses_are_compared_by_gains_of_perplexity_and_forgetting_in_nats() -> None:
    losses, experts = SCORES / 20, np.array([0.5, 0.0, 0.6, 0.8])
    values, reasons = measured(losses, experts, TASKS, scale=NATS)
    gaps = np.exp(experts[:3] - losses[-1, :3])
    assert values == {
        "perplexity_gain_final": pytest.approx(100 * gaps.mean()),
        "perplexity_gain_average": pytest.approx(
            100 * np.mean([np.exp(experts[: i - 1] - losses[i, : i - 1]).mean() for i in (2, 3, 4)])
        ),
        "pooled_perplexity_gain_final": pytest.approx(100 * gaps.prod() ** (1 / 3)),
        "average_performance": pytest.approx(losses[-1].mean()),
        "forgetting": pytest.approx(np.mean([losses[-1, j] - losses[j + 1 : -1, j].min() for j in range(3)])),
        "backward_transfer": pytest.approx(np.mean([losses[j + 1, j] - losses[-1, j] for j in range(3)])),
    }
    assert not reasons
    directions = {measure.name: (measure.unit, measure.lower_is_better) for measure in measures_of(NATS)}
    assert directions["average_performance"] == directions["forgetting"] == ("nats", True)
    assert directions["backward_transfer"] == ("nats", False)
    assert directions["perplexity_gain_final"] == ("percent", False)


def test_losses_without_experts_and_other_units() -> None:
    values, reasons = measured(SCORES / 20, None, TASKS, scale=NATS)
    assert values["perplexity_gain_final"] is None
    assert reasons["pooled_perplexity_gain_final"] == "the experts were not evaluated"
    assert [measure.name for measure in measures_of(Scale("percent", "lower"))] == [
        "average_performance",
        "forgetting",
        "backward_transfer",
    ]
    assert measures_of(PERCENT)[:3] == MEASURES[:3]
    units = {measure.name: measure.unit for measure in measures_of(Scale("number", "higher"))}
    assert units["average_performance"] == "units"
