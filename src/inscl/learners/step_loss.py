r"""The loss of one training step, whose rows are taught on several threads at once where that changes nothing.

Two threads that share one matrix product of a few hundred rows wait for each other many times in each layer. Two that
share the rows wait for each other once a step. The gradient is the same but for rounding, since that of a sum is the
sum of the parts' gradients:

.. math:: \nabla \frac{1}{N} \sum_i L_i = \sum_p \nabla \frac{1}{N} \sum_{i \in p} L_i

with N the answer tokens of the step, :math:`L_i` the loss of example i and p the parts. Packed examples also share what
they begin with (`inscl.models.shared_packing`), with the same gradient.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from inscl.contract.objective import IGNORED, TaughtExample
from inscl.contract.traits import ObjectiveTraits, traits_of
from inscl.models.lower_states import Given, above_frozen
from inscl.models.objectives.training_loss import TrainingLoss
from inscl.models.ranks import number_of_ranks
from inscl.models.shared_packing import alike, pack_shared, shares_exactly
from inscl.models.threads import balanced, hooked, in_parallel

__all__ = ["StepLoss"]

_MOST_GRADIENTS = 1 << 28
"""Bytes of the gradients that each part has for itself: more than adapters have, less than a whole model."""


@dataclass
class StepLoss:
    """What Trainer minimises in one step.

    The number of parts is that of torch's threads, or of the rows where those are fewer. Like the number of threads by
    itself, it changes how sums are rounded and nothing else; for one number of threads results are always the same.

    Attributes:
        loss: The objective, with its counts.
        collate: Examples to a batch, as Trainer's own collator makes it.
    """

    loss: TrainingLoss
    collate: Callable[[Sequence[TaughtExample]], dict[str, Any]]
    _divisible: bool | None = field(default=None, init=False)
    _shares: bool = field(default=False, init=False)
    _taught: list[Any] | None = field(default=None, init=False)

    def __call__(self, model: Any, inputs: dict[str, Any], step_tokens: Any = None) -> Any:
        """The loss of a batch, a scalar tensor that gradients can be taken of.

        Args:
            model: What is taught, in training mode.
            inputs: The batch, with ``labels`` and ``examples``, which the model doesn't get.
            step_tokens: Answer tokens of the whole optimiser step; None: of this batch.

        Raises:
            ModelError: The objective gave something else than one number.
        """
        import torch

        examples, labels = inputs.pop("examples"), inputs.pop("labels")
        texts = [example.encoded.tokens for example in examples]
        if not self._divides(model, examples):
            with above_frozen(model, texts) as given:
                logits = model(**given(inputs, texts)).logits
            return self.loss(model, inputs, logits, labels, examples, step_tokens)
        threads = torch.get_num_threads()
        parts = alike(texts, threads) if self._shares else balanced(list(map(len, texts)), threads)
        tokens = int((labels[:, 1:] != IGNORED).sum()) if step_tokens is None else step_tokens
        with above_frozen(model, texts) as given:
            return self._of_parts(model, [[examples[k] for k in part] for part in parts], tokens, given)

    def _divides(self, model: Any, examples: Sequence[TaughtExample]) -> bool:
        """Whether parts of a batch may be taught at once. It is the same in every process, so resuming is exact."""
        if self._divisible is None:
            objective = traits_of(self.loss.objective, ObjectiveTraits)
            # Several ranks add their gradients as a pass through the whole model goes back.
            alone = number_of_ranks() == 1
            self._divisible = alone and objective.sums_examples and _simple(model) and self._certain(model, examples)
            self._shares = self._divisible and "cu_seq_lens_q" in self.collate(examples[:1]) and shares_exactly(model)
        return self._divisible

    def _certain(self, model: Any, examples: Sequence[TaughtExample]) -> bool:
        """Whether nothing random happens in a forward pass, such as dropout: threads would draw in any order."""
        import torch

        batch = self.collate(examples[:1])
        inputs = {name: value for name, value in batch.items() if name not in ("examples", "labels")}
        before = torch.random.get_rng_state()
        with torch.no_grad():
            model(**inputs)
        same = bool(torch.equal(before, torch.random.get_rng_state()))
        torch.random.set_rng_state(before)
        return same

    def _of_parts(self, model: Any, parts: Sequence[Sequence[TaughtExample]], tokens: Any, given: Given) -> Any:
        """The parts' loss, and in its backward pass the sum of their gradients, in their order."""
        import torch

        if self._taught is None:
            self._taught = [weight for weight in model.parameters() if weight.requires_grad]
        taught = self._taught

        def teach(examples: Sequence[TaughtExample]) -> tuple[Any, int, tuple[Any, ...]]:
            inputs = pack_shared([one.encoded for one in examples]) if self._shares else self.collate(examples)
            inputs.pop("examples", None)
            labels = inputs.pop("labels")
            logits = model(**given(inputs, [one.encoded.tokens for one in examples])).logits
            summed, count = self.loss.part(model, inputs, logits, labels, examples)
            return summed.detach(), count, torch.autograd.grad(summed / tokens, taught, allow_unused=True)

        class Given(torch.autograd.Function):  # type: ignore[misc, unused-ignore] # torch is untyped where it is absent
            @staticmethod
            def forward(context: Any, value: Any, gradients: Any, *weights: Any) -> Any:
                context.gradients = gradients
                return value.clone()

            @staticmethod
            def backward(context: Any, scale: Any) -> Any:
                scaled = [None if one is None else one * scale for one in context.gradients]
                return (None, None, *scaled)

        found = in_parallel([partial(teach, part) for part in parts])
        for summed, count, _ in found:
            self.loss.add(summed, count)
        gradients = [_sum(column) for column in zip(*(one for *_, one in found), strict=True)]
        return Given.apply(sum(summed for summed, *_ in found) / tokens, gradients, *taught)


def _simple(model: Any) -> bool:
    """Whether a pass through `model` leaves nothing in it, and gradients for each part fit into memory."""
    taught = [weight for weight in model.parameters() if weight.requires_grad]
    if model.device.type != "cpu" or not taught:
        return False
    if sum(weight.numel() * weight.element_size() for weight in taught) > _MOST_GRADIENTS:
        return False
    # Checkpointing computes within the backward pass.
    checkpointed = any(getattr(module, "gradient_checkpointing", False) for module in model.modules())
    return not (hooked(model) or checkpointed or any(weight._backward_hooks for weight in taught))


def _sum(gradients: Sequence[Any]) -> Any:
    """Of one weight, in the order of the parts; None where no part has it."""
    given = [one for one in gradients if one is not None]
    return None if not given else given[0] if len(given) == 1 else sum(given[1:], given[0])
