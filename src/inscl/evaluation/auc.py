"""Area under the ROC curve, for questions with the same two options."""

from __future__ import annotations

import math
from collections.abc import Sequence

from inscl.contract.measured import Asked, Measured, Undefined
from inscl.contract.traits import MeasureTraits
from inscl.evaluation.measures import chosen_labels

__all__ = ["AUC"]


class AUC:
    """How often a question whose answer is the second option gets more of it than one whose answer is the first.

    The order of the two options makes no difference. Standard error by Hanley & McNeil (Radiology, 1982).
    """

    traits = MeasureTraits(needs="choice")

    def __call__(self, rows: Sequence[Asked]) -> Measured | Undefined:
        """Measure a task."""
        from sklearn.metrics import roc_auc_score

        found = chosen_labels(rows)
        if isinstance(found, Undefined):
            return found
        options = sorted(rows[0].question.options)
        if len(options) != 2 or any(sorted(row.question.options) != options for row in rows):
            return Undefined("its questions don't have the same two options")
        if any(len(right) > 1 for _, right in found):
            return Undefined("both options of a question are right")
        second = [row.question.options.index(options[1]) for row in rows]
        labels = [place in right for (_, right), place in zip(found, second, strict=True)]
        if len(set(labels)) < 2:
            return Undefined("all of its answers are the same option")
        scores = [known[place] for (known, _), place in zip(found, second, strict=True)]
        area = float(roc_auc_score(labels, scores))
        return Measured(area, hanley_mcneil(area, sum(labels), len(labels) - sum(labels)), len(rows))


def hanley_mcneil(area: float, positives: int, negatives: int) -> float:
    """The standard error of an area under the curve; both counts at least 1."""
    q1, q2 = area / (2 - area), 2 * area**2 / (1 + area)
    own = (positives - 1) * (q1 - area**2) + (negatives - 1) * (q2 - area**2)
    # Where the curve is perfect, rounding may leave less than nothing.
    return math.sqrt(max(0.0, area * (1 - area) + own) / (positives * negatives))
