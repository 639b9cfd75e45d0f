from __future__ import annotations

import json

import numpy as np

from inscl.contract.scale import PERCENT, Scale
from inscl.storage.run.scores import ScoreMatrix


def cell(value: float) -> dict[str, dict[str, float]]:
    return {"rouge_l": {"mean": value, "standard_error": 1.0, "n": 4}}


def test_missing_cells_are_nan_in_the_array_and_absent_in_the_file() -> None:
    scores = ScoreMatrix(("a", "b"), {"rouge_l": PERCENT, "exact_match": PERCENT})
    scores.add(2, {"b": cell(30.0), "a": cell(20.0)})
    scores.add(1, {"a": cell(50.0)})
    nan = np.nan
    np.testing.assert_array_equal(scores.array(), [[nan, nan], [50, nan], [20, 30]])
    assert np.isnan(scores.array("exact_match")).all()
    content = scores.to_json()
    assert [(c["stage"], c["task"]) for c in content["cells"]] == [(1, "a"), (2, "a"), (2, "b")]
    assert content["experts"] == {}


def test_experts() -> None:
    scores = ScoreMatrix(("a", "b"), {"rouge_l": PERCENT}, experts={"b": cell(70.0)})
    np.testing.assert_array_equal(scores.expert_array(), [np.nan, 70])


def test_what_is_held_out_has_an_array_of_its_own_and_comes_last() -> None:
    scores = ScoreMatrix(("b", "c"), {"rouge_l": PERCENT}, held_out=("a",))
    scores.add(0, {"a": cell(10.0)})
    scores.add(2, {"a": cell(30.0), "b": cell(40.0)})
    nan = np.nan
    np.testing.assert_array_equal(scores.array(), [[nan, nan], [nan, nan], [40, nan]])
    np.testing.assert_array_equal(scores.held_out_array(), [[10], [nan], [30]])
    assert [(c["stage"], c["task"]) for c in scores.to_json()["cells"]] == [(0, "a"), (2, "b"), (2, "a")]
    assert ScoreMatrix.from_json(json.loads(scores.to_text())) == scores


def test_the_text_of_the_file_says_the_same_a_line_a_cell() -> None:
    scores = ScoreMatrix(("a", 'b "cells": []'), {"rouge_l": PERCENT}, experts={"a": cell(70.0)})
    assert json.loads(scores.to_text()) == scores.to_json()
    for stage in (1, 2):
        scores.add(stage, {"a": cell(30.0), 'b "cells": []': cell(20.0)})
    assert json.loads(scores.to_text()) == scores.to_json()
    assert sum('"stage"' in line for line in scores.to_text().splitlines()) == 4
    assert ScoreMatrix.from_json(json.loads(scores.to_text())) == scores


def test_a_name_like_the_seam_between_two_cells_breaks_no_line() -> None:
    name = '}, {"stage": 3, "task": "a'
    scores = ScoreMatrix((name,), {name: PERCENT})
    scores.add(1, {name: {name: {"mean": 1.0, "standard_error": 1.0, "n": 4}}})
    assert json.loads(scores.to_text()) == scores.to_json()
    assert sum('"stage"' in line for line in scores.to_text().splitlines()) == 1


def test_unit_and_direction_of_each_metric_are_in_the_file() -> None:
    scores = ScoreMatrix(("a",), {"answer_loss": Scale("nats", "lower"), "rouge_l": PERCENT})
    scores.add(1, {"a": {"answer_loss": {"mean": 1.25, "standard_error": 0.5, "n": 200}}})
    content = json.loads(scores.to_text())
    assert content["metrics"] == {
        "answer_loss": {"unit": "nats", "better": "lower"},
        "rouge_l": {"unit": "percent", "better": "higher"},
    }
    read = ScoreMatrix.from_json(content)
    assert (read.scales, read.metrics) == (scores.scales, ("answer_loss", "rouge_l"))
