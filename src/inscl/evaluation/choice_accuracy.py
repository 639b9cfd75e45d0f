"""How often the right option is the likeliest."""

from __future__ import annotations

from inscl.contract.traits import MeasureTraits
from inscl.evaluation.measures import ChoiceMean

__all__ = ["ChoiceAccuracy"]


class ChoiceAccuracy(ChoiceMean):
    """Share of questions whose likeliest option, compared by nats a token, is the right one; a tie counts its share."""

    traits = MeasureTraits(needs="choice")

    def of(self, log_probabilities: tuple[float, ...], right: tuple[int, ...]) -> float:
        """1 if a right option is the likeliest, a part of 1 if wrong ones are as likely, else 0."""
        most = max(log_probabilities)
        return sum(log_probabilities[place] == most for place in right) / log_probabilities.count(most)
