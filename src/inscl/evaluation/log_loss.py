"""How surprising the right option is among two or more."""

from __future__ import annotations

from collections.abc import Sequence

from inscl.contract.measured import Asked, Measured, Undefined
from inscl.contract.traits import MeasureTraits
from inscl.evaluation.measures import chosen_labels, mean_of

__all__ = ["LogLoss"]


class LogLoss:
    """Mean of minus the logarithm of the right option's probability among its options, nats a question."""

    traits = MeasureTraits(better="lower", unit="nats", needs="choice")

    def __call__(self, rows: Sequence[Asked]) -> Measured | Undefined:
        """Measure a task."""
        found = chosen_labels(rows)
        return found if isinstance(found, Undefined) else mean_of([-known[right] for known, right in found])
