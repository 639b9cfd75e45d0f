"""Nats an answer token: how surprising the right answers are."""

from __future__ import annotations

from collections.abc import Sequence

from inscl.contract.measured import Asked, Measured, Undefined
from inscl.contract.traits import MeasureTraits
from inscl.evaluation.measures import likelihoods_of, ratio_of

__all__ = ["AnswerLoss"]


class AnswerLoss:
    """Cross entropy of the first references, nats an answer token, teacher-forced, the end of sequence included.

    Over all tokens of the task: a long answer counts more than a short one. Its exponential is the perplexity.
    """

    traits = MeasureTraits(better="lower", unit="nats", needs="likelihood")

    def __call__(self, rows: Sequence[Asked]) -> Measured | Undefined:
        """Measure a task."""
        found = likelihoods_of(rows)
        if isinstance(found, Undefined):
            return found
        return ratio_of([-one.nats for one in found], [one.tokens for one in found])
