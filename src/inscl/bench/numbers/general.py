"""What a method did to the tasks that are held out: more numbers of a cell, where a stream holds tasks out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from inscl import metrics
from inscl.bench.numbers.measures import Measure
from inscl.contract.scale import Scale
from inscl.undefined import general_undefined_reason, p_score_undefined_reason

__all__ = ["GENERAL", "P_SCORE", "general_measure", "general_measured", "p_score_measure", "p_score_measured"]

GENERAL = "general_delta"
P_SCORE = "p_score"


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


def p_score_measure() -> Measure:
    """`inscl.metrics.p_score` at the last stage, as a column; it computes from the held-out scores and experts."""
    return Measure(
        P_SCORE,
        "P-score",
        "percent",
        False,
        P_SCORE,
        lambda scores, experts, _counted: math.nan if experts is None else metrics.p_score(scores, experts),
    )


def p_score_measured(scores: Any, experts: Any, tasks: Sequence[str], scale: Scale) -> tuple[float | None, str | None]:
    """The number of one cell, None where undefined; and the reason why it is undefined, None where it isn't.

    Args:
        scores: As for `general_measured`.
        experts: Shape (M,), NaN where not evaluated.
        tasks: As for `general_measured`.
        scale: As for `general_measured`; of a loss there is no share.

    Raises:
        ConfigError: The shapes don't fit.
    """
    number = p_score_measure().compute(scores, experts, ())
    reason = p_score_undefined_reason(scores, experts, tasks, scale)
    return (number, None) if reason is None else (None, reason)
