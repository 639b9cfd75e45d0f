"""`check_objective`: what an objective must keep."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from inscl.contract.objective import Objective
from inscl.testing.made import tiny_model

__all__ = ["check_objective"]


def check_objective(factory: Callable[[], Objective]) -> None:
    """Check that an objective keeps the contract, on a made batch of two examples.

    One finite number that gradients can be taken of; the same for the same batch; and no gradient from an example of
    weight 0.

    Args:
        factory: Makes the objective, as in ``lambda: Gentle()``.

    Raises:
        AssertionError: What is broken, in words.
    """
    import torch

    from inscl.contract.objective import IGNORED, ObjectiveBatch, TaughtExample
    from inscl.models.prompts import Encoded

    model = tiny_model()
    tokens = torch.tensor([[1, 2, 3, 4], [5, 6, 7, 8]])

    def loss(weight: float) -> tuple[Any, Any]:
        logits = model(input_ids=tokens).logits[:, :-1].reshape(8 - 2, -1).float().detach().requires_grad_()
        labels = tokens[:, 1:].reshape(-1).clone()
        labels[0] = IGNORED
        examples = [TaughtExample(Encoded([1, 2, 3, 4], 2)), TaughtExample(Encoded([5, 6, 7, 8], 1), weight, True)]
        owners = torch.tensor([0, 0, 0, 1, 1, 1])
        weights = torch.tensor([1.0, weight])[owners]
        batch = ObjectiveBatch(logits, labels, weights, owners, examples, {"input_ids": tokens}, model)
        return factory()(batch), logits

    found, logits = loss(1.0)
    assert getattr(found, "shape", None) == (), "it must return one number, a scalar tensor"
    assert bool(torch.isfinite(found)), "its value is not a finite number"
    found.backward()
    assert bool(logits.grad.any()), "no gradient comes of it"
    assert float(loss(1.0)[0].detach()) == float(found.detach()), "the same batch gave two values"
    silent, quiet_logits = loss(0.0)
    silent.backward()
    assert not bool(quiet_logits.grad[3:].any()), "an example of weight 0 is learned from"
