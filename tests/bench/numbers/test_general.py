"""General delta of a grid whose stream holds tasks out, worked out by hand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy import stats

from bench.cells import record
from inscl.bench.numbers.general import (
    GENERAL,
    P_SCORE,
    general_measure,
    general_measured,
    p_score_measure,
    p_score_measured,
)
from inscl.bench.numbers.summary import summarise
from inscl.contract.scale import PERCENT, Scale
from inscl.errors import DataError

NATS = Scale("nats", "lower")


def held_out(*rows: list[float | None], metric: str = "rouge_l") -> dict[str, Any]:
    return {"held_out": {"tasks": ["g", "h"], "scores": {metric: list(rows)}}}


def cells(method: str, ends: dict[int, float], **fields: Any) -> list[dict[str, Any]]:
    """A cell a seed; g goes from 40 to the end, and h stays at 60, so that the delta is half of what g gained."""
    return [
        record(method, seed=seed, **held_out([40.0, 60.0], [35.0, 50.0], [end, 60.0]), **fields)
        for seed, end in ends.items()
    ]


def test_one_cell_by_hand() -> None:
    scores = np.array([[40, 60], [35, 50], [30, 75]])
    assert general_measured(scores, ["g", "h"], PERCENT) == (pytest.approx((-10 + 15) / 2), None)
    assert general_measured(scores, ["g", "h"], NATS) == (pytest.approx((10 - 15) / 2), None)
    hole = np.array([[40, 60], [math.nan, math.nan], [30, math.nan]])
    assert general_measured(hole, ["g", "h"], PERCENT) == (None, "the held-out task h after stage 2 was not evaluated")
    assert (general_measure(PERCENT).unit, general_measure(PERCENT).lower_is_better) == ("points", False)
    # Less of a loss is better, and yet more of its delta is.
    assert (general_measure(NATS).unit, general_measure(NATS).lower_is_better) == ("nats", False)


def test_mean_interval_and_difference_over_seeds() -> None:
    summary = summarise([*cells("random", {0: 30, 1: 34, 2: 38}), *cells("inscl", {0: 42, 1: 44, 2: 49})])
    assert [measure.name for measure in summary.measures][-1] == GENERAL
    reference, other = summary.tables[0].rows
    low, high = stats.t.interval(0.95, 2, loc=-3, scale=stats.sem([-5, -3, -1]))
    found = reference.results[GENERAL].estimate
    assert found.mean == pytest.approx(-3)
    assert found.t is not None
    assert (found.t.low, found.t.high) == (pytest.approx(low), pytest.approx(high))
    assert other.results[GENERAL].estimate.mean == pytest.approx((1 + 2 + 4.5) / 3)
    assert other.results[GENERAL].difference.estimate.mean == pytest.approx((6 + 5 + 5.5) / 3)
    assert other.results[GENERAL].difference.verdict == "above"
    # Seeds apart: 2, 4 and 2 of the reference, 1, 3.5 and 2.5 of the other.
    assert summary.noise["small"][GENERAL].mean == pytest.approx(15 / 6)


def test_a_stream_without_such_tasks_has_no_such_measure() -> None:
    summary = summarise([record(), record("inscl")])
    assert GENERAL not in {measure.name for measure in summary.measures}
    assert GENERAL not in summary.tables[0].rows[0].results


def test_cells_with_and_without_say_so() -> None:
    summary = summarise([*cells("random", {0: 30}), record("inscl"), record("other", metric="x", **held_out())])
    reasons = {row.method: row.results[GENERAL].reason for row in summary.tables[0].rows}
    assert reasons == {
        "random": None,
        "inscl": "no task is held out",
        "other": "the cell was not scored by rouge_l",
    }
    assert (
        "small: the cells hold out different tasks; general delta and P-score are over different things."
        in summary.notes
    )


def test_p_score_of_one_cell_by_hand() -> None:
    scores, upper = np.array([[40, 60], [35, 50], [30, 75]]), np.array([60.0, 50.0])
    assert p_score_measured(scores, upper, ["g", "h"], PERCENT) == (pytest.approx((50 + 150) / 2), None)
    assert p_score_measured(scores, upper, ["g", "h"], NATS)[0] is None
    assert p_score_measured(scores, np.array([60, math.nan]), ["g", "h"], PERCENT) == (
        None,
        "the expert of the held-out task h was not evaluated; it needs train rows",
    )
    assert (p_score_measure().unit, p_score_measure().lower_is_better) == ("percent", False)


def test_p_score_stands_in_a_grid_whose_held_out_tasks_have_experts() -> None:
    with_experts = cells("random", {0: 30, 1: 36})
    for record_ in with_experts:
        record_["held_out"]["experts"] = {"rouge_l": [60.0, 80.0]}
    summary = summarise([*with_experts, *cells("inscl", {0: 42})])
    assert [measure.name for measure in summary.measures][-2:] == [GENERAL, P_SCORE]
    rows = {row.method: row.results[P_SCORE] for row in summary.tables[0].rows}
    assert rows["random"].estimate.mean == pytest.approx(((30 + 36) / 2 / 60 + 60 / 80) * 50)
    assert rows["inscl"].reason == "the experts of the tasks that are held out were not evaluated; they need train rows"
    # Without any, as in records of earlier versions, there is no such column.
    assert P_SCORE not in {measure.name for measure in summarise(cells("random", {0: 30})).measures}


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([[40.0, 60.0], [30.0, 60.0]], "expected 3 rows of scores for 2 tasks, got 2"),
        ([[40.0], [30.0], [20.0]], "expected a column for each of the 2 held-out tasks"),
        ([[40.0, 60.0], [30.0], [20.0, 30.0]], "cell small/random"),
    ],
)
def test_damaged_scores_are_named(rows: list[list[float | None]], said: str) -> None:
    with pytest.raises(DataError, match=said):
        summarise([record(**held_out(*rows))])
    with pytest.raises(DataError, match="the field 'rouge_l' is missing"):
        summarise([record(**held_out(metric="other"))])
