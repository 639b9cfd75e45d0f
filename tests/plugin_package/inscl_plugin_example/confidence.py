"""A measure: how sure a model is of the option that it finds likeliest."""

import math
from collections.abc import Sequence

from inscl.contract.measured import Asked, Measured, Undefined
from inscl.contract.traits import MeasureTraits
from inscl.evaluation.measures import mean_of


class Confidence:
    """Mean probability of the likeliest option."""

    traits = MeasureTraits(needs="choice")

    def __call__(self, rows: Sequence[Asked]) -> Measured | Undefined:
        known = [options for row in rows if (options := row.answer.option_log_probabilities) is not None]
        if len(known) < len(rows):
            return Undefined("its questions have no options")
        return mean_of([math.exp(max(options)) for options in known])
