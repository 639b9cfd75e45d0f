"""`check_objective`: what an objective must keep."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

from inscl.contract.example import Example
from inscl.contract.objective import Objective, State, TaughtExample
from inscl.contract.traits import ObjectiveTraits, traits_of
from inscl.models.prompts import Encoded
from inscl.testing.made import tiny_model

__all__ = ["check_objective"]


def check_objective(factory: Callable[[], Objective]) -> None:
    """Check that an objective keeps the contract, on a made batch of two examples.

    One finite number that gradients can be taken of; the same for the same batch; no gradient from an example of
    weight 0; and no state of the model read that its traits don't name. One that prepares is prepared first.

    Args:
        factory: Makes the objective, as in ``lambda: Gentle()``.

    Raises:
        AssertionError: What is broken, in words.
    """
    import torch

    from inscl.contract.objective import IGNORED, ObjectiveBatch

    model = tiny_model()
    tokens = torch.tensor([[1, 2, 3, 4], [5, 6, 7, 8]])
    texts = [Example("ab", "", ("cd",)), Example("e", "", ("fgh",))]

    def loss(weight: float) -> tuple[Any, Any]:
        objective = factory()
        logits = model(input_ids=tokens).logits[:, :-1].reshape(8 - 2, -1).float().detach().requires_grad_()
        labels = tokens[:, 1:].reshape(-1).clone()
        labels[0] = IGNORED
        examples = [
            TaughtExample(_encoded(texts[0]), example=texts[0]),
            TaughtExample(_encoded(texts[1]), weight, True, example=texts[1]),
        ]
        traits = traits_of(objective, ObjectiveTraits)
        if traits.prepares:
            cast(Any, objective).prepare(examples)
        owners = torch.tensor([0, 0, 0, 1, 1, 1])
        weights = torch.tensor([1.0, weight])[owners]
        inputs, states = {"input_ids": tokens}, _MadeStates(model, traits.reads)
        return objective(ObjectiveBatch(logits, labels, weights, owners, examples, inputs, model, states)), logits

    found, logits = loss(1.0)
    assert getattr(found, "shape", None) == (), "it must return one number, a scalar tensor"
    assert bool(torch.isfinite(found)), "its value is not a finite number"
    found.backward()
    assert bool(logits.grad.any()), "no gradient comes of it"
    assert float(loss(1.0)[0].detach()) == float(found.detach()), "the same batch gave two values"
    silent, quiet_logits = loss(0.0)
    silent.backward()
    assert not bool(quiet_logits.grad[3:].any()), "an example of weight 0 is learned from"


class _MadeStates:
    """States of a made model: those of the past are the same model with its output layer's rows reversed."""

    def __init__(self, model: Any, reads: Sequence[State]) -> None:
        self.model, self.reads = model, reads

    def logits(self, examples: Sequence[TaughtExample | Example], state: State, gradients: bool) -> Any:
        import torch

        assert state in self.reads, f"it reads the state {state!r}, which its trait `reads` doesn't name"
        assert state == "now" or not gradients, f"it wants gradients of the state {state!r}, which is past"
        rows = []
        for one in examples:
            encoded = one.encoded if isinstance(one, TaughtExample) else _encoded(one)
            with torch.set_grad_enabled(gradients):
                logits = self.model(input_ids=torch.tensor([encoded.tokens])).logits[0].float()
            rows.append(logits[[place - 1 for place in encoded.positions]])
        found = torch.cat(rows)
        return found if state == "now" else found.flip(-1)


def _encoded(example: Example) -> Encoded:
    """Letters as token ids of the made model, a is 1."""
    prompt, answer = ([(ord(letter) - 96) % 16 for letter in text] for text in (example.prompt, example.output))
    return Encoded(prompt + answer, len(prompt))
