"""How surprising the right option is among two or more."""

from __future__ import annotations

import math

from inscl.contract.traits import MeasureTraits
from inscl.evaluation.measures import ChoiceMean

__all__ = ["LogLoss"]


class LogLoss(ChoiceMean):
    r"""Mean of minus the logarithm of the right option's probability among its options, nats a question.

    .. math:: -\ln p(o), \quad p(o) = \frac{e^{s_o}}{\sum_{o'} e^{s_{o'}}}

    with :math:`s_o` the option's nats a token, the end of sequence included (`Choosing.choose`): long options lose
    nothing by their length, and probabilities are nearer to each other than the model's own, which are of sums.
    """

    traits = MeasureTraits(unit="nats", better="lower", needs="choice")

    def of(self, log_probabilities: tuple[float, ...], right: tuple[int, ...]) -> float:
        """Nats of the right option, or of the right ones together."""
        if len(right) == 1:
            return -log_probabilities[right[0]]
        return -math.log(math.fsum(math.exp(log_probabilities[place]) for place in right))
