"""Nats an answer token: how surprising the right answers are."""

from __future__ import annotations

from inscl.contract.answer import LogLikelihood
from inscl.contract.traits import MeasureTraits
from inscl.evaluation.measures import TokenRatio

__all__ = ["AnswerLoss"]


class AnswerLoss(TokenRatio):
    """Cross entropy of the first references, nats an answer token, teacher-forced, the end of sequence included.

    Over all tokens of the task: a long answer counts more than a short one. Its exponential is the perplexity.
    """

    traits = MeasureTraits(unit="nats", better="lower", needs="likelihood")

    def of(self, likelihood: LogLikelihood) -> float:
        """Nats of one reference."""
        return -likelihood.nats
