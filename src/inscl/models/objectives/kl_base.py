"""A penalty on the divergence from the model as it came."""

from __future__ import annotations

from typing import Any

from inscl.contract.objective import IGNORED, ObjectiveBatch
from inscl.contract.traits import ObjectiveTraits
from inscl.errors import ConfigError, Problem
from inscl.models.objectives.answer import AnswerObjective
from inscl.models.objectives.divergences import kullback_leibler

__all__ = ["KLToBase"]


class KLToBase:
    r"""Cross entropy, and the divergence from the base model at every position of an answer.

    .. math:: L = \sum_i w_i \sum_t \Big( -\ln p(y_{i,t}) + \beta \, KL\big(p \| p_{base}\big) \Big)

    The direction is that of fine-tuning by reinforcement (Ziegler et al. 2019, arXiv:1909.08593), computed over the
    whole vocabulary. With an adapter on frozen weights the base model is the same model with the adapter switched off;
    otherwise a second copy is loaded.

    Args:
        weight: :math:`\beta`, above 0.

    Raises:
        ConfigError: The weight is out of range.
    """

    traits = ObjectiveTraits(reads=("base",))

    def __init__(self, weight: float = 0.1) -> None:
        if not weight > 0:
            raise ConfigError([Problem("weight", f"must be above 0, got {weight!r}")], "objective kl_base")
        self.weight = weight

    def __call__(self, batch: ObjectiveBatch) -> Any:
        """The summed loss, nats."""
        rows = batch.labels != IGNORED
        each = kullback_leibler(batch.logits[rows], batch.logits_of(state="base"))
        return AnswerObjective()(batch) + self.weight * (each * batch.weights[rows]).sum()
