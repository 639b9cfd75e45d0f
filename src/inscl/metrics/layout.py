"""Every metric at once, as ``metrics.json`` has them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from inscl.contract.scale import PERCENT, Better, Scale
from inscl.metrics.averages import average_incremental, average_performance, forward_transfer_citb
from inscl.metrics.differences import backward_transfer, forgetting, forward_transfer, general_delta, intransigence
from inscl.metrics.matrix import Floats, checked_experts, checked_matrix, mean, or_none, task_names
from inscl.metrics.perplexities import perplexity_gain_by_stage, pooled_perplexity_gain_by_stage
from inscl.metrics.shares import forgetting_rate, forgetting_rate_by_task, p_score, relative_gain_by_stage

__all__ = ["all_metrics", "general_metrics", "p_score_metrics"]


def all_metrics(
    scores: ArrayLike,
    experts: ArrayLike | None = None,
    tasks: Sequence[str] | None = None,
    scale: Scale = PERCENT,
) -> dict[str, Any]:
    """Every metric of one score matrix, as ``metrics.json`` has it; None stands for undefined.

    Args:
        scores: Shape (T + 1, T).
        experts: Shape (T,); None if there are none.
        tasks: Names of the T tasks; None calls them "1", "2", ...
        scale: Unit of the scores and which direction is good. Of scores that are better when lower, `relative_gain` and
            `forgetting_rate` are undefined; losses in nats have the perplexity gains besides.
    """
    matrix, upper = checked_matrix(scores), checked_experts(experts, scores)
    names, better = task_names(matrix, tasks), scale.better
    shares = matrix if better == "higher" else np.full_like(matrix, np.nan)
    found = {"relative_gain": _by_stage(relative_gain_by_stage(shares, upper))}
    if scale.is_loss:
        found["perplexity_gain"] = _by_stage(perplexity_gain_by_stage(matrix, upper))
        found["pooled_perplexity_gain"] = _by_stage(pooled_perplexity_gain_by_stage(matrix, upper))
    return {
        **found,
        "forgetting_rate": {
            "mean": or_none(forgetting_rate(shares)),
            "by_task": {n: or_none(r) for n, r in zip(names, forgetting_rate_by_task(shares), strict=True)},
        },
        "average_performance": or_none(average_performance(matrix)),
        "average_incremental": or_none(average_incremental(matrix)),
        "backward_transfer": or_none(backward_transfer(matrix, better)),
        "forward_transfer": or_none(forward_transfer(matrix, better)),
        "forward_transfer_citb": or_none(forward_transfer_citb(matrix)),
        "forgetting": or_none(forgetting(matrix, better)),
        "intransigence": or_none(intransigence(matrix, upper, better)),
    }


def general_metrics(general: ArrayLike, tasks: Sequence[str], better: Better = "higher") -> dict[str, Any]:
    """`general_delta` as ``metrics.json`` has it: at the end, after each stage, and of each task at the end.

    Args:
        general: As for `general_delta`.
        tasks: Names of the M tasks.
        better: As for `general_delta`.
    """
    matrix = np.asarray(general, dtype=np.float64)
    return {
        "final": or_none(general_delta(matrix, better=better)),
        "by_stage": {str(t): or_none(general_delta(matrix, t, better)) for t in range(1, len(matrix))},
        "by_task": {name: or_none(general_delta(matrix[:, [m]], better=better)) for m, name in enumerate(tasks)},
    }


def p_score_metrics(
    general: ArrayLike, upper: ArrayLike, tasks: Sequence[str], better: Better = "higher"
) -> dict[str, Any] | None:
    """`p_score` as ``metrics.json`` has it: at the end, by stage from the base model on, and of each task at the end.

    Args:
        general: As for `p_score`.
        upper: As for `p_score`.
        tasks: Names of the M tasks.
        better: Which direction is good; of a loss there is no share, so that all is undefined.

    Returns:
        The numbers, None for one that is undefined; None where no task is held out.
    """
    if not tasks:
        return None
    matrix, bounds = np.asarray(general, dtype=np.float64), np.asarray(upper, dtype=np.float64)
    matrix = matrix if better == "higher" else np.full_like(matrix, np.nan)
    by_task = {name: or_none(p_score(matrix[:, [m]], bounds[[m]])) for m, name in enumerate(tasks)}
    return {
        "final": or_none(p_score(matrix, bounds)),
        "by_stage": {str(t): or_none(p_score(matrix, bounds, t)) for t in range(len(matrix))},
        "by_task": by_task,
    }


def _by_stage(gains: Floats) -> dict[str, Any]:
    """A gain after the stages 2..T as ``metrics.json`` has it."""
    return {
        "final": or_none(gains[-1]) if gains.size else None,
        "average": or_none(mean(gains)),
        "standard_deviation": or_none(gains.std()) if gains.size else None,
        "by_stage": {str(i): or_none(gain) for i, gain in enumerate(gains, start=2)},
    }
