"""An objective in the form that Trainer requires, with counts of tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from inscl.contract.objective import IGNORED, Objective, ObjectiveBatch, States, TaughtExample
from inscl.errors import ModelError
from inscl.models.ranks import gathered, number_of_ranks, summed

__all__ = ["TrainingLoss", "owners_of"]


class TrainingLoss:
    """The objective's loss of a batch, divided by the answer tokens of the whole optimiser step.

    Args:
        objective: What is minimised.
        states: What the objective may read once more; None where it may not.
        visits: Filled with the loss of each example at its first and at its last visit, nats per answer token, by the
            example's id; None measures nothing. The measured loss is cross entropy, whatever the objective.

    Attributes:
        tokens: Answer tokens seen so far.
        total: Their summed loss, nats.
    """

    def __init__(
        self, objective: Objective, states: States | None = None, visits: dict[str, tuple[float, float]] | None = None
    ) -> None:
        self.objective, self.states, self.visits, self.tokens, self.total = objective, states, visits, 0, 0.0
        self._shared: tuple[int, float, dict[str, tuple[float, float]]] = (0, 0.0, {})

    def __call__(
        self,
        model: Any,
        inputs: Mapping[str, Any],
        logits: Any,
        labels: Any,
        examples: Sequence[TaughtExample],
        step_tokens: Any = None,
    ) -> Any:
        """The loss of one batch, a scalar tensor.

        Args:
            model: What is taught.
            inputs: What it was called with.
            logits: Shape (n, positions, vocabulary).
            labels: Shape (n, 1 + k), as `inscl.models.batches` makes them: a first column that doesn't count.
            examples: The examples of the batch.
            step_tokens: Answer tokens of the whole optimiser step, gradient accumulation included; None: of this batch.

        Raises:
            ModelError: The objective gave something else than one number.
        """
        summed, count = self.part(model, inputs, logits, labels, examples)
        self.add(summed, count)
        return summed / (count if step_tokens is None else step_tokens)

    def part(
        self, model: Any, inputs: Mapping[str, Any], logits: Any, labels: Any, examples: Sequence[TaughtExample]
    ) -> tuple[Any, int]:
        """The summed loss of a batch or of a part of it, and its answer tokens; arguments as above, counts nothing.

        Raises:
            ModelError: The objective gave something else than one number.
        """
        import torch

        wanted = labels[:, 1:]
        # A model that can't choose positions gives them all; those that count are the last ones.
        kept = logits[:, -wanted.shape[1] :].reshape(-1, logits.shape[-1]).float()
        owners = owners_of(wanted, examples)
        weights = torch.tensor([example.weight for example in examples], device=kept.device)[owners]
        batch = ObjectiveBatch(kept, wanted.reshape(-1), weights, owners, examples, inputs, model, self.states)
        if self.visits is not None:
            self._visit(batch, self.visits)
        summed = self.objective(batch)
        if getattr(summed, "shape", None) != ():
            name = type(self.objective).__name__
            raise ModelError(f"the objective {name} must return one number, a scalar tensor, for a batch")
        return summed, int((wanted != IGNORED).sum())

    def _visit(self, batch: ObjectiveBatch, visits: dict[str, tuple[float, float]]) -> None:
        import torch
        from torch.nn.functional import cross_entropy

        with torch.no_grad():
            each = cross_entropy(batch.logits, batch.labels, ignore_index=IGNORED, reduction="none")
            sums = torch.zeros(2, len(batch.examples), device=each.device)
            sums.index_add_(1, batch.owners, torch.stack([each, (batch.labels != IGNORED).float()]))
            losses = (sums[0] / sums[1].clamp(min=1)).tolist()
        for taught, loss in zip(batch.examples, losses, strict=True):
            if taught.example is not None:
                first, _ = visits.get(taught.example.id, (loss, loss))
                visits[taught.example.id] = (first, loss)

    def add(self, summed: Any, count: int) -> None:
        """Count a loss that `part` found."""
        self.tokens += count
        self.total += float(summed.detach())

    def share(self) -> None:
        """Give every rank the counts and visits of all ranks; alone, it changes nothing. Every rank must call it.

        Between two calls an example may come up on one rank alone: call it at least once an epoch.
        """
        if number_of_ranks() == 1:
            return
        tokens, total, before = self._shared
        more = summed([self.tokens - tokens, self.total - total])
        self.tokens, self.total = tokens + round(more[0]), total + more[1]
        if self.visits is not None:
            new = {one: losses for one, losses in self.visits.items() if before.get(one) != losses}
            for known in gathered(new):
                self.visits.update({one: (first, last) for one, (first, last) in known.items()})
        self.set_shared()

    def set_shared(self) -> None:
        """Say that counts and visits are those of all ranks, as where they were read from a file."""
        self._shared = (self.tokens, self.total, dict(self.visits or {}))


def owners_of(wanted: Any, examples: Sequence[TaughtExample]) -> Any:
    """Which example each position belongs to; shape (n * k,) for labels of shape (n, k).

    Padded batches have one example a row, packed ones all examples in one row, one after the other.
    """
    import torch

    if len(wanted) == len(examples):
        return torch.arange(len(wanted), device=wanted.device).repeat_interleave(wanted.shape[1])
    counts = torch.tensor([len(example.encoded.positions) for example in examples], device=wanted.device)
    return torch.arange(len(examples), device=wanted.device).repeat_interleave(counts)
