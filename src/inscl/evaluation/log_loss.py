"""How surprising the right option is among two or more."""

from __future__ import annotations

import math

from inscl.contract.traits import MeasureTraits
from inscl.evaluation.measures import ChoiceMean

__all__ = ["LogLoss"]


class LogLoss(ChoiceMean):
    """Mean of minus the logarithm of the right option's probability among its options, nats a question."""

    traits = MeasureTraits(unit="nats", better="lower", needs="choice")

    def of(self, log_probabilities: tuple[float, ...], right: tuple[int, ...]) -> float:
        """Nats of the right option, or of the right ones together."""
        if len(right) == 1:
            return -log_probabilities[right[0]]
        return -math.log(math.fsum(math.exp(log_probabilities[place]) for place in right))
