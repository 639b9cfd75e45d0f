from __future__ import annotations

import pytest

from inscl.models.objectives.answer import AnswerObjective
from inscl.testing import check_objective


def test_the_built_in_objective_keeps_the_contract() -> None:
    check_objective(AnswerObjective)


def test_an_objective_that_leaves_weights_aside_is_found() -> None:
    with pytest.raises(AssertionError, match="weight 0 is learned from"):
        check_objective(lambda: lambda batch: batch.logits.exp().sum())
    with pytest.raises(AssertionError, match="one number"):
        check_objective(lambda: lambda batch: batch.logits)


def test_an_objective_that_reads_what_its_traits_do_not_name_is_found() -> None:
    class Hidden:
        def __call__(self, batch):
            return (batch.logits.sum() - batch.logits_of(state="base").sum()) * batch.weights.min()

    with pytest.raises(AssertionError, match="reads the state 'base'"):
        check_objective(Hidden)
