"""How often the right option is the likeliest."""

from __future__ import annotations

from collections.abc import Sequence

from inscl.contract.measured import Asked, Measured, Undefined
from inscl.contract.traits import MeasureTraits
from inscl.evaluation.measures import chosen_labels, mean_of

__all__ = ["ChoiceAccuracy"]


class ChoiceAccuracy:
    """Share of questions whose likeliest option, compared by nats a token, is the right one; a tie counts its share."""

    traits = MeasureTraits(needs="choice")

    def __call__(self, rows: Sequence[Asked]) -> Measured | Undefined:
        """Measure a task."""
        found = chosen_labels(rows)
        if isinstance(found, Undefined):
            return found
        return mean_of([(known[right] == max(known)) / known.count(max(known)) for known, right in found])
