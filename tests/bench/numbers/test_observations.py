"""Records as the tables need them: checked, sorted, and each cell once."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bench.cells import record
from inscl.bench.numbers.observations import observe
from inscl.errors import ConfigError, DataError


def test_the_first_scorer_is_taken_unless_another_is_asked_for() -> None:
    cells = [record(metric="exact_match"), record("x", metric="rouge_l")]
    assert observe(cells, None)[0] == "exact_match"
    metric, found = observe(cells, "rouge_l")
    assert metric == "rouge_l"
    assert [(one.method, one.measures["average_performance"]) for one in found] == [("random", None), ("x", 50.0)]


def test_a_task_is_left_out_of_all_that_share_a_stream_and_of_nobody_else() -> None:
    zero: dict[str, Any] = {"experts": {"rouge_l": [0.0, 80.0]}}
    cells = [record("a", **zero), record("b"), record("b", seed=1), record("b", order="other")]
    found = {(one.method, one.order, one.seed): one.left_out for one in observe(cells, None)[1]}
    assert found == {
        ("a", "curriculum", 0): ("a",),
        ("b", "curriculum", 0): ("a",),
        ("b", "curriculum", 1): (),
        ("b", "other", 0): (),
    }


def test_missing_costs_are_missing_and_wrong_ones_named() -> None:
    (found,) = observe([record(cost={"steps": 3})], None)[1]
    assert (found.cost["steps"], found.cost["tokens"]) == (3.0, None)
    with pytest.raises(DataError, match="cell small/random"):
        observe([record(cost=[1])], None)
    with pytest.raises(ConfigError, match="no cell was scored by 'bleu'"):
        observe([record()], "bleu")


def test_cells_must_agree_on_the_unit_of_a_metric() -> None:
    other = {"metrics": {"rouge_l": {"unit": "number", "better": "higher"}}}
    with pytest.raises(DataError, match="don't agree on the unit of rouge_l"):
        observe([record(), record("x", **other)], None)
    without = record()
    del without["metrics"]
    with pytest.raises(DataError, match="the field 'metrics' is missing"):
        observe([without], None)


def test_an_expert_with_a_loss_of_zero_leaves_nothing_out() -> None:
    loss = {"metrics": {"answer_loss": {"unit": "nats", "better": "lower"}}, "experts": {"answer_loss": [0.0, 1.0]}}
    (seen,) = observe([record(last=1.0, metric="answer_loss", **loss)], None)[1]
    assert seen.left_out == ()
    assert seen.measures["perplexity_gain_final"] == pytest.approx(100 * np.exp(-1.0))
