"""Distillation from the model before the stage, on what is replayed."""

from __future__ import annotations

from typing import Any

from inscl.contract.objective import IGNORED, ObjectiveBatch
from inscl.contract.traits import ObjectiveTraits
from inscl.errors import ConfigError, Problem
from inscl.models.objectives.answer import AnswerObjective
from inscl.models.objectives.divergences import kullback_leibler

__all__ = ["Distil"]


class Distil:
    r"""Cross entropy, and on replayed examples the divergence from the model as it was before this stage.

    .. math:: L = \sum_i w_i \sum_t \Big( -\ln p(y_{i,t}) + \lambda r_i T^2 \, KL\big(p^T_{before} \| p^T\big) \Big)

    with :math:`r_i` 1 for a replayed example and 0 for a new one, and :math:`p^T` the distribution of the logits
    divided by T (Hinton et al. 2015, arXiv:1503.02531; the old model as teacher: Li & Hoiem 2016, arXiv:1606.09282, who
    use new data alone, where this uses replayed examples). At the first stage nothing is replayed and it is `answer`.

    Args:
        weight: :math:`\lambda`, above 0.
        temperature: T, above 0.

    Raises:
        ConfigError: A value is out of range.
    """

    traits = ObjectiveTraits(reads=("before",))

    def __init__(self, weight: float = 1.0, temperature: float = 2.0) -> None:
        given = {"weight": weight, "temperature": temperature}
        problems = [Problem(key, f"must be above 0, got {value!r}") for key, value in given.items() if not value > 0]
        if problems:
            raise ConfigError(problems, "objective distil")
        self.weight, self.temperature = weight, temperature

    def __call__(self, batch: ObjectiveBatch) -> Any:
        """The summed loss, nats."""
        import torch

        total = AnswerObjective()(batch)
        replayed = [example for example in batch.examples if example.replayed]
        if not replayed:
            return total
        old = torch.tensor([example.replayed for example in batch.examples], device=batch.owners.device)
        rows = (batch.labels != IGNORED) & old[batch.owners]
        before = batch.logits_of(replayed, state="before") / self.temperature
        each = kullback_leibler(before, batch.logits[rows] / self.temperature)
        return total + self.weight * self.temperature**2 * (each * batch.weights[rows]).sum()
