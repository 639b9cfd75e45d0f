"""Passes over rows, and what their steps took."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from inscl.contract import Example, Task
from inscl.contract.plan import Pick, ReplayPlan
from inscl.errors import ModelError
from inscl.learners.descent import Descent, Passes


@pytest.mark.parametrize(("epochs", "rows", "steps"), [(2, 7, 6), (1.5, 7, 5), (0.1, 7, 1), (3, 1, 3), (2, 0, 0)])
def test_every_pass_takes_all_rows_and_the_last_may_be_a_part(epochs: float, rows: int, steps: int) -> None:
    passes = Passes(epochs, 3)
    found = list(passes.batches(rows, np.random.default_rng(0)))
    assert len(found) == passes.steps(rows) == steps
    each = math.ceil(rows / 3)
    for start in range(0, len(found) - each + 1, max(each, 1)):
        assert sorted(place for batch in found[start : start + each] for place in batch) == list(range(rows))
    assert found == list(passes.batches(rows, np.random.default_rng(0)))


def test_steps_are_counted_told_and_reported() -> None:
    told: list[tuple[int, float]] = []
    took = Descent(3, 0.5, lambda done, **facts: told.append((done, facts["loss"])))
    took.made([2, 0], 4.0, 10, 3)
    took.made([1], 2.0, 5, 1)
    assert [(row["step"], row["loss"], row["learning_rate"], row["tokens"]) for row in took.log] == [
        (1, 4.0, 0.5, 10),
        (2, 2.0, 0.5, 15),
    ]
    assert (took.tokens, took.answer_tokens, took.seen, told) == (15, 4, [1, 1, 1], [(1, 4.0), (2, 2.0)])
    one = Example("a", "", ("b",), "t")
    report = took.report(Task("t", (one,)), ReplayPlan("t", "made", (Pick(one, "o", 1),)), 7, 1, 0.25)
    assert (report.steps, report.examples, report.replayed, report.loss) == (2, 1, 1, 3.0)
    assert (report.tokens, report.answer_tokens, report.replay_tokens, report.truncated) == (15, 4, 7, 1)
    assert Descent(0, 1.0).report(Task("t", (one,)), ReplayPlan.nothing("t"), 0, 0, 0.0).loss == 0


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_that_is_no_number_ends_it(value: float) -> None:
    took = Descent(1, 1.0)
    assert took.finite(torch.tensor(2.5, requires_grad=True)) == 2.5
    took.made([0], 2.5, 1, 1)
    with pytest.raises(ModelError, match=r"training diverged: loss (nan|inf) at step 2; lower training\.learning_rate"):
        took.finite(torch.tensor(value))
