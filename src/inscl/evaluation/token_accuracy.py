"""How many tokens of the right answers come first."""

from __future__ import annotations

from inscl.contract.answer import LogLikelihood
from inscl.contract.traits import MeasureTraits
from inscl.evaluation.measures import TokenRatio

__all__ = ["TokenAccuracy"]


class TokenAccuracy(TokenRatio):
    """Share of the first references' tokens that are the most likely ones, teacher-forced, end of sequence included."""

    traits = MeasureTraits(needs="likelihood")

    def of(self, likelihood: LogLikelihood) -> float | None:
        """Tokens of one reference that are the most likely ones."""
        return likelihood.correct
