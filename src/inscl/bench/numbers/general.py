"""What a method did to the tasks that are held out: one more number of a cell, where a stream holds tasks out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from inscl import metrics
from inscl.bench.numbers.measures import Measure
from inscl.contract.scale import Scale
from inscl.undefined import general_undefined_reason

__all__ = ["GENERAL", "general_measure", "general_measured"]

GENERAL = "general_delta"


def general_measure(scale: Scale) -> Measure:
    """`inscl.metrics.general_delta` at the last stage, as a column; what it computes from are the held-out scores."""
    return Measure(
        GENERAL,
        "General delta",
        scale.points,
        False,
        GENERAL,
        lambda scores, _experts, _counted: metrics.general_delta(scores, better=scale.better),
    )


def general_measured(scores: Any, tasks: Sequence[str], scale: Scale) -> tuple[float | None, str | None]:
    """The number of one cell.

    Args:
        scores: Shape (T + 1, M), row 0 the base model, NaN where not evaluated.
        tasks: Names of the M tasks that are held out.
        scale: Unit of the scores and which direction is good; a positive delta is a gain either way.

    Returns:
        The number, None where undefined; and the reason why it is undefined, None where it isn't.

    Raises:
        ConfigError: The array has no row or no column.
    """
    number = general_measure(scale).compute(scores, None, ())
    return (None, general_undefined_reason(scores, tasks)) if math.isnan(number) else (number, None)
