from __future__ import annotations

from typing import Any

import pytest

from inscl.contract.objective import IGNORED, ObjectiveBatch, TaughtExample
from inscl.errors import ModelError
from inscl.models.objectives.training_loss import TrainingLoss, owners_of
from inscl.models.prompts import Encoded

EXAMPLES = [TaughtExample(Encoded([5, 6, 7], 1), reason={"why": "a"}), TaughtExample(Encoded([8, 9], 1), 3.0, True)]


def test_positions_belong_to_their_rows_padded_and_to_their_spans_packed() -> None:
    import torch

    assert owners_of(torch.zeros(2, 3), EXAMPLES).tolist() == [0, 0, 0, 1, 1, 1]
    assert owners_of(torch.zeros(1, 3), EXAMPLES).tolist() == [0, 0, 1]


def test_an_objective_sees_weights_reasons_and_logits_and_its_loss_is_divided_by_the_step() -> None:
    import torch

    seen: list[ObjectiveBatch] = []

    def objective(batch: ObjectiveBatch) -> Any:
        seen.append(batch)
        return batch.weights.sum()

    loss = TrainingLoss(objective)
    labels = torch.tensor([[IGNORED, 1, 2, 3]])
    assert float(loss("model", {"input_ids": 1}, torch.zeros(1, 3, 5), labels, EXAMPLES, 10)) == pytest.approx(0.5)
    (batch,) = seen
    assert batch.logits.shape == (3, 5)
    assert batch.weights.tolist() == [1, 1, 3]
    assert batch.examples[0].reason == {"why": "a"}
    assert (batch.model, batch.inputs) == ("model", {"input_ids": 1})
    assert (loss.tokens, loss.total) == (3, 5.0)


def test_an_objective_that_returns_a_vector_is_told() -> None:
    import torch

    loss = TrainingLoss(lambda batch: batch.weights)
    with pytest.raises(ModelError, match="must return one number"):
        loss(None, {}, torch.zeros(1, 3, 5), torch.tensor([[IGNORED, 1, 2, 3]]), EXAMPLES)
