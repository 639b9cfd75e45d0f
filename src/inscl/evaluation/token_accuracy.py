"""How many tokens of the right answers come first."""

from __future__ import annotations

from collections.abc import Sequence

from inscl.contract.measured import Asked, Measured, Undefined
from inscl.contract.traits import MeasureTraits
from inscl.evaluation.measures import likelihoods_of, ratio_of

__all__ = ["TokenAccuracy"]


class TokenAccuracy:
    """Share of the first references' tokens that are the most likely ones, teacher-forced, end of sequence included."""

    traits = MeasureTraits(needs="likelihood")

    def __call__(self, rows: Sequence[Asked]) -> Measured | Undefined:
        """Measure a task."""
        found = likelihoods_of(rows)
        if isinstance(found, Undefined):
            return found
        correct = [one.correct for one in found if one.correct is not None]
        if len(correct) < len(found):
            return Undefined("the learner doesn't count the tokens that it has right")
        return ratio_of(correct, [one.tokens for one in found])
