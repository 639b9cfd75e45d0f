"""The numbers that a grid compares, each computed from a cell's score matrix by `inscl.metrics`."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inscl import metrics
from inscl.contract.scale import PERCENT, Scale
from inscl.undefined import undefined_reason

__all__ = ["MEASURES", "Measure", "measured", "measures_of", "zero_experts"]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Measure:
    """One number of a cell.

    Attributes:
        name: As in CSV.
        title: As in a heading.
        unit: Of the number: ``percent``, or what its differences are in too, as ``points`` or ``nats``.
        lower_is_better: Whether a method that is "below" another is the better one.
        source: The metric of `inscl.metrics` whose reason says why the number is undefined.
        compute: Scores of shape (T + 1, T), experts of shape (T,) or None, and the columns whose expert counts -> the
            number, NaN where undefined.
    """

    name: str
    title: str
    unit: str
    lower_is_better: bool
    source: str
    compute: Callable[[Any, Any, Collection[int]], float] = field(repr=False, compare=False)

    @property
    def needs_experts(self) -> bool:
        """Whether it compares with the experts' scores."""
        return self.source in ("relative_gain", "perplexity_gain", "pooled_perplexity_gain")

    @property
    def digits(self) -> int:
        """Decimals that are shown."""
        return 1 if self.unit in ("percent", "points") else 3

    @property
    def better(self) -> str:
        """Which direction is good, in words."""
        return "lower is better" if self.lower_is_better else "higher is better"


def _gains(scores: Any, experts: Any, counted: Collection[int]) -> Floats:
    """`metrics.relative_gain_by_stage` over the columns that count; stages with none of them before are absent."""
    every = metrics.relative_gain_by_stage(scores, experts)
    if len(counted) > len(every) or experts is None:
        return every
    matrix, upper = np.asarray(scores, dtype=np.float64), np.array(experts, dtype=np.float64)
    upper[upper == 0] = math.nan
    columns = [[j for j in sorted(counted) if j < i - 1] for i in range(2, len(matrix))]
    found = [100 * matrix[i, kept] / upper[kept] for i, kept in enumerate(columns, start=2) if kept]
    return np.array([ratios.mean() for ratios in found], dtype=np.float64)


def _final_gain(scores: Any, experts: Any, counted: Collection[int]) -> float:
    gains = _gains(scores, experts, counted)
    return float(gains[-1]) if gains.size else math.nan


def _average_gain(scores: Any, experts: Any, counted: Collection[int]) -> float:
    gains = _gains(scores, experts, counted)
    return float(gains.mean()) if gains.size else math.nan


def _of_scores(metric: Callable[..., float], **more: Any) -> Callable[[Any, Any, Collection[int]], float]:
    return lambda scores, _experts, _counted: metric(scores, **more)


def _with_experts(gain: Callable[[Any, Any], float]) -> Callable[[Any, Any, Collection[int]], float]:
    """A gain over all tasks: an expert with a loss of 0 is in nobody's way."""
    return lambda scores, experts, _counted: math.nan if experts is None else gain(scores, experts)


def _average_perplexity_gain(scores: Any, experts: Any) -> float:
    gains = metrics.perplexity_gain_by_stage(scores, experts)
    return float(gains.mean()) if gains.size else math.nan


_forgetting, _average, _backward = (
    _of_scores(metric) for metric in (metrics.forgetting_rate, metrics.average_performance, metrics.backward_transfer)
)

MEASURES = (
    Measure("relative_gain_final", "Relative Gain, final", "percent", False, "relative_gain", _final_gain),
    Measure("relative_gain_average", "Relative Gain, mean of stages", "percent", False, "relative_gain", _average_gain),
    Measure("forgetting_rate", "Forgetting rate", "percent", True, "forgetting_rate", _forgetting),
    Measure("average_performance", "Average performance", "points", False, "average_performance", _average),
    Measure("backward_transfer", "Backward transfer", "points", False, "backward_transfer", _backward),
)
"""Those of a percentage that is better when higher, in the order of the tables; the first is drawn."""

_OF_LOSSES = (
    Measure(
        "perplexity_gain_final",
        "Perplexity gain, final",
        "percent",
        False,
        "perplexity_gain",
        _with_experts(metrics.perplexity_gain),
    ),
    Measure(
        "perplexity_gain_average",
        "Perplexity gain, mean of stages",
        "percent",
        False,
        "perplexity_gain",
        _with_experts(_average_perplexity_gain),
    ),
    Measure(
        "pooled_perplexity_gain_final",
        "Pooled perplexity gain, final",
        "percent",
        False,
        "pooled_perplexity_gain",
        _with_experts(metrics.pooled_perplexity_gain),
    ),
)


def measures_of(scale: Scale) -> tuple[Measure, ...]:
    """What is compared of scores with such a unit and direction; the first is drawn against the budget.

    Nothing that divides by a score is of one that is better when lower: a loss in nats has gains of perplexity in place
    of Relative Gain, and forgetting in its own unit in place of its rate.
    """
    points, better = scale.points, scale.better
    average = Measure(
        "average_performance", "Average performance", points, better == "lower", "average_performance", _average
    )
    backward = _of_scores(metrics.backward_transfer, better=better)
    transfer = Measure("backward_transfer", "Backward transfer", points, False, "backward_transfer", backward)
    if better == "higher":
        return (*MEASURES[:3], average, transfer)
    lost = _of_scores(metrics.forgetting, better=better)
    forgetting = Measure("forgetting", "Forgetting", points, True, "forgetting", lost)
    return (*(_OF_LOSSES if scale.is_loss else ()), average, forgetting, transfer)


def zero_experts(experts: Any, tasks: Sequence[str]) -> tuple[str, ...]:
    """The earlier tasks (all but the last) whose expert scored 0: a ratio to 0 says nothing about a method.

    Args:
        experts: Shape (T,), NaN where not evaluated; None if there are none.
        tasks: Names of the T tasks.
    """
    if experts is None:
        return ()
    return tuple(task for task, score in zip(tasks[:-1], experts, strict=False) if score == 0)


def measured(
    scores: Any, experts: Any, tasks: Sequence[str], left_out: Collection[str] = (), scale: Scale = PERCENT
) -> tuple[dict[str, float | None], dict[str, str]]:
    """Every measure of one score matrix, and why the undefined ones are.

    Args:
        scores: Shape (T + 1, T), NaN where not evaluated.
        experts: Shape (T,), NaN where not evaluated; None if there are none.
        tasks: Names of the T tasks.
        left_out: Tasks that don't count in Relative Gain, at any stage: those of `zero_experts`, of all cells that are
            compared. The other measures take every task.
        scale: Unit of the scores and which direction is good.

    Returns:
        Measure -> number, None where undefined; and measure -> reason for those.

    Raises:
        ConfigError: An array has the wrong shape.
    """
    counted = [column for column, task in enumerate(tasks) if task not in left_out]
    values: dict[str, float | None] = {}
    reasons: dict[str, str] = {}
    for measure in measures_of(scale):
        number = measure.compute(scores, experts, counted)
        values[measure.name] = None if math.isnan(number) else number
        if math.isnan(number):
            reasons[measure.name] = _reason(measure, scores, experts, tasks, left_out, scale)
    return values, reasons


def _reason(
    measure: Measure, scores: Any, experts: Any, tasks: Sequence[str], left_out: Collection[str], scale: Scale
) -> str:
    if measure.needs_experts and left_out and experts is not None:
        if all(task in left_out for task in tasks[:-1]):
            return "the expert of every earlier task scored 0, which can't be divided by"
        ignored = [column for column, task in enumerate(tasks) if task in left_out]
        # What is left out can't be the reason: it is given numbers that stand in nobody's way.
        scores, experts = np.array(scores, dtype=np.float64), np.array(experts, dtype=np.float64)
        scores[:, ignored], experts[ignored] = 0.0, 1.0
    reason = undefined_reason(measure.source, scores, experts, tasks, scale)
    return reason or "a stage before the last was not evaluated"
