"""Weights of examples in the loss, against the same examples given more often."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from inscl.contract.objective import TaughtExample
from inscl.models.batches import pack, pad
from inscl.models.objectives.answer import AnswerObjective
from inscl.models.objectives.training_loss import TrainingLoss
from inscl.models.prompts import Encoded

FIRST, SECOND = Encoded([5, 6, 7, 8], 2), Encoded([9, 10, 11, 12, 13], 2)


@pytest.fixture(scope="module")
def model(tiny_model: Path) -> Any:
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(tiny_model)


def gradients(model: Any, join: Any, examples: list[TaughtExample], tokens: int) -> list[Any]:
    model.zero_grad()
    batch = join([example.encoded for example in examples])
    labels = batch.pop("labels")
    TrainingLoss(AnswerObjective())(model, batch, model(**batch).logits, labels, examples, tokens).backward()
    return [parameter.grad.clone() for parameter in model.parameters()]


@pytest.mark.parametrize("join", [pack, lambda rows: pad(rows, 2)], ids=["pack", "pad"])
def test_a_weight_of_two_is_the_example_twice(model: Any, join: Any) -> None:
    import torch

    heavy = gradients(model, join, [TaughtExample(FIRST), TaughtExample(SECOND, 2.0, True)], 7)
    twice = gradients(model, join, [TaughtExample(FIRST), TaughtExample(SECOND), TaughtExample(SECOND)], 7)
    for one, other in zip(heavy, twice, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("join", [pack, lambda rows: pad(rows, 2)], ids=["pack", "pad"])
def test_a_weight_of_zero_teaches_nothing(model: Any, join: Any) -> None:
    import torch

    silent = gradients(model, join, [TaughtExample(FIRST), TaughtExample(SECOND, 0.0, True)], 7)
    alone = gradients(model, join, [TaughtExample(FIRST)], 7)
    for one, other in zip(silent, alone, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)
