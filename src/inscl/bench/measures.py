"""The numbers that a grid compares, each computed from a cell's score matrix by `inscl.metrics`."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from inscl import metrics

__all__ = ["MEASURES", "Measure", "measured"]


@dataclass(frozen=True)
class Measure:
    """One number of a cell.

    Attributes:
        name: As in CSV.
        title: As in a heading.
        unit: Of the number; its differences are in points.
        lower_is_better: Whether a strategy that is "below" another is the better one.
        source: The metric of `inscl.metrics` whose reason says why the number is undefined.
        compute: Scores of shape (T + 1, T) and experts of shape (T,) or None -> the number, NaN where undefined.
    """

    name: str
    title: str
    unit: str
    lower_is_better: bool
    source: str
    compute: Callable[[Any, Any], float]

    @property
    def better(self) -> str:
        """Which direction is good, in words."""
        return "lower is better" if self.lower_is_better else "higher is better"


MEASURES = (
    Measure("relative_gain_final", "Relative Gain, final", "percent", False, "relative_gain", metrics.relative_gain),
    Measure(
        "relative_gain_average",
        "Relative Gain, mean of stages",
        "percent",
        False,
        "relative_gain",
        metrics.relative_gain_average,
    ),
    Measure(
        "forgetting_rate",
        "Forgetting rate",
        "percent",
        True,
        "forgetting_rate",
        lambda scores, _: metrics.forgetting_rate(scores),
    ),
    Measure(
        "average_performance",
        "Average performance",
        "points",
        False,
        "average_performance",
        lambda scores, _: metrics.average_performance(scores),
    ),
    Measure(
        "backward_transfer",
        "Backward transfer",
        "points",
        False,
        "backward_transfer",
        lambda scores, _: metrics.backward_transfer(scores),
    ),
)
"""All of them, in the order of the tables; the first is drawn against the budget."""


def measured(scores: Any, experts: Any, tasks: Sequence[str]) -> tuple[dict[str, float | None], dict[str, str]]:
    """Every measure of one score matrix, and why the undefined ones are.

    Args:
        scores: Shape (T + 1, T), NaN where not evaluated.
        experts: Shape (T,), NaN where not evaluated; None if there are none.
        tasks: Names of the T tasks.

    Returns:
        Measure -> number, None where undefined; and measure -> reason for those.

    Raises:
        ConfigError: An array has the wrong shape.
    """
    values: dict[str, float | None] = {}
    reasons: dict[str, str] = {}
    for measure in MEASURES:
        number = measure.compute(scores, experts)
        values[measure.name] = None if math.isnan(number) else number
        if math.isnan(number):
            reason = metrics.undefined_reason(measure.source, scores, experts, tasks)
            reasons[measure.name] = reason or "a stage before the last was not evaluated"
    return values, reasons
