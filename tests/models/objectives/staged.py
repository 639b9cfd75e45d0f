"""A model in the middle of a stage, and the gradients of losses written out on plain forward passes."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

from inscl.contract import Example
from inscl.contract.objective import TaughtExample
from inscl.models.adapters.lora import LoRA
from inscl.models.batches import pad
from inscl.models.objectives.other_states import OtherStates
from inscl.models.objectives.training_loss import TrainingLoss
from inscl.models.trainable_model import TrainableModel

EXAMPLES = (Example("Say red", "one", ("red",)), Example("Say blue", "or green", ("blueish",)))


class Stage:
    """A model in a stage of training: its adapter has moved away from what it was before."""

    def __init__(self, folder: Path, reads: tuple[Any, ...]) -> None:
        import torch

        self.model = TrainableModel(str(folder), LoRA(r=2, alpha=2), "fp32", "cpu")
        self.encoder = self.model.encoder()
        self.states = OtherStates(self.model, self.encoder.encode, reads)
        torch.manual_seed(0)
        self.states.begin_stage(1)
        for weight in self.trained:
            weight.data += torch.randn_like(weight) / 4
        self.states.begin_stage(2)
        self.before = copy.deepcopy(self.model.model).eval()
        for weight in self.trained:
            weight.data += torch.randn_like(weight) / 8

    @property
    def trained(self) -> list[Any]:
        return [weight for weight in self.model.model.parameters() if weight.requires_grad]

    def gradients(self, objective: Any, examples: list[TaughtExample]) -> list[Any]:
        """Of the summed loss, computed as training does."""
        batch = pad([example.encoded for example in examples], self.model.pad_token)
        labels = batch.pop("labels")
        network = self.model.model.train()
        network.zero_grad()
        TrainingLoss(objective, self.states)(network, batch, network(**batch).logits, labels, examples, 1).backward()
        return [weight.grad.clone() for weight in self.trained]

    def written_out(self, loss: Any, examples: list[TaughtExample]) -> list[Any]:
        """The same of ``loss(logits now, logits of the reference, targets, example)`` of each example alone."""
        import torch

        network = self.model.model.eval()
        network.zero_grad()
        total = torch.zeros(())
        for example in examples:
            tokens, start = torch.tensor([example.encoded.tokens]), example.encoded.prompt_length
            now = network(input_ids=tokens).logits[0, start - 1 : -1]
            with torch.no_grad():
                before = self.before(input_ids=tokens).logits[0, start - 1 : -1]
                with network.disable_adapter():
                    base = network(input_ids=tokens).logits[0, start - 1 : -1]
            total = total + example.weight * loss(now, {"before": before, "base": base}, tokens[0, start:], example)
        total.backward()
        return [weight.grad.clone() for weight in self.trained]


def taught(stage: Stage) -> list[TaughtExample]:
    first, second = (stage.encoder.encode(example) for example in EXAMPLES)
    return [TaughtExample(first, example=EXAMPLES[0]), TaughtExample(second, 0.5, True, example=EXAMPLES[1])]


def close(found: list[Any], wanted: list[Any]) -> None:
    import torch

    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)
