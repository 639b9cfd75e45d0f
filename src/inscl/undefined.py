"""Why a metric of a score matrix is undefined: a cell that is missing, a division by zero, or another kind of score."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from inscl.contract.scale import PERCENT, Scale
from inscl.errors import ConfigError
from inscl.metrics import checked_experts, checked_matrix, task_names

__all__ = ["undefined_reason", "undefined_reasons"]


@dataclass(frozen=True)
class _Need:
    """What a metric over T tasks reads: cells as (stage, column), columns of the experts, what it divides by."""

    cells: Callable[[int], ArrayLike]
    experts: Callable[[int], range] = lambda _: range(0)
    several: bool = True
    divides_by_learned: bool = False
    divides_by_experts: bool = False
    of_losses_alone: bool = False

    @property
    def is_share(self) -> bool:
        """Whether it divides by a score, which has a meaning only where 0 is the worst there is."""
        return self.divides_by_learned or self.divides_by_experts


def _learned_and_last(t: int) -> list[tuple[int, int]]:
    return [cell for j in range(t - 1) for cell in ((j + 1, j), (t, j))]


def _last(t: int) -> list[tuple[int, int]]:
    return [(t, j) for j in range(t - 1)]


def _earlier(t: int) -> range:
    return range(t - 1)


_NEEDS = {
    "relative_gain": _Need(_last, experts=_earlier, divides_by_experts=True),
    "perplexity_gain": _Need(_last, experts=_earlier, of_losses_alone=True),
    "pooled_perplexity_gain": _Need(_last, experts=_earlier, of_losses_alone=True),
    "forgetting_rate": _Need(_learned_and_last, divides_by_learned=True),
    "average_performance": _Need(lambda t: [(t, j) for j in range(t)], several=False),
    "average_incremental": _Need(lambda t: np.add(np.argwhere(np.tri(t)), (1, 0)), several=False),
    "backward_transfer": _Need(_learned_and_last),
    "forward_transfer": _Need(lambda t: [cell for j in range(1, t) for cell in ((0, j), (j, j))]),
    "forward_transfer_citb": _Need(lambda t: [(j, j) for j in range(1, t)]),
    "forgetting": _Need(lambda t: np.add(np.argwhere(np.tri(t).T)[:, ::-1], (1, 0))[:-1]),  # column by column
    "intransigence": _Need(lambda t: [(j + 1, j) for j in range(t)], experts=range, several=False),
}


def undefined_reason(
    name: str,
    scores: ArrayLike,
    experts: ArrayLike | None = None,
    tasks: Sequence[str] | None = None,
    scale: Scale = PERCENT,
) -> str | None:
    """Why a metric (at the last stage, over all tasks) is undefined: the first cell in the way; None if it isn't.

    Args:
        name: A key of `all_metrics`.
        scores: Shape (T + 1, T).
        experts: Shape (T,); None if there are none.
        tasks: Names of the T tasks; None calls them "1", "2", ...
        scale: Unit of the scores and which direction is good.

    Raises:
        ConfigError: No such metric, or an array of the wrong shape.
    """
    if name not in _NEEDS:
        raise ConfigError(f"no metric named {name!r} (there are: {', '.join(_NEEDS)})", "metrics")
    need, matrix, upper = _NEEDS[name], checked_matrix(scores), checked_experts(experts, scores)
    names, count = task_names(matrix, tasks), matrix.shape[1]
    if reason := _wrong_scale(need, scale):
        return reason
    if need.several and count < 2:
        return "it needs at least two tasks"
    if len(need.experts(count)) and np.isnan(upper).all():
        return "the experts were not evaluated"
    stages, columns = np.asarray(need.cells(count), dtype=int).reshape(-1, 2).T
    found = matrix[stages, columns]
    zero = (found == 0) & (stages == columns + 1) & need.divides_by_learned
    for k in np.flatnonzero(np.isnan(found) | zero)[:1]:
        i, j = stages[k], columns[k]
        if zero[k]:
            return f"R[{i}][{j + 1}]: task {names[j]} scored 0 when it was just learned, which can't be divided by"
        if np.isnan(matrix[1:, j]).all():
            return f"R[{i}][{j + 1}]: task {names[j]} has no such score after any stage"
        when = f"after stage {i}" if i else "with the base model"
        return f"R[{i}][{j + 1}]: task {names[j]} {when} was not evaluated"
    for j in need.experts(count):
        if np.isnan(upper[j]):
            return f"S[{j + 1}]: the expert of task {names[j]} was not evaluated"
        if need.divides_by_experts and upper[j] == 0:
            return f"S[{j + 1}]: the expert of task {names[j]} scored 0, which can't be divided by"
    return None


def undefined_reasons(
    scores: ArrayLike,
    experts: ArrayLike | None = None,
    tasks: Sequence[str] | None = None,
    scale: Scale = PERCENT,
) -> dict[str, str]:
    """`undefined_reason` of every metric that such scores have and that is undefined; its arguments but the name."""
    names = [name for name, need in _NEEDS.items() if scale.is_loss or not need.of_losses_alone]
    reasons = {name: undefined_reason(name, scores, experts, tasks, scale) for name in names}
    return {name: reason for name, reason in reasons.items() if reason is not None}


def general_undefined_reason(general: ArrayLike, tasks: Sequence[str]) -> str | None:
    """Why `inscl.metrics.general_delta` is undefined at the last stage: the first missing cell; None if it isn't.

    Args:
        general: Shape (stages + 1, M), row 0 the base model.
        tasks: Names of the M tasks that are held out.
    """
    matrix = np.asarray(general, dtype=np.float64)
    for stage in (0, len(matrix) - 1):
        for name, score in zip(tasks, matrix[stage], strict=True):
            if np.isnan(score):
                when = f"after stage {stage}" if stage else "with the base model"
                return f"the held-out task {name} {when} was not evaluated"
    return None


def p_score_undefined_reason(
    general: ArrayLike, upper: ArrayLike, tasks: Sequence[str], scale: Scale = PERCENT
) -> str | None:
    """Why `inscl.metrics.p_score` is undefined at the last stage: the first thing in the way; None if it isn't.

    Args:
        general: Shape (stages + 1, M), row 0 the base model.
        upper: Shape (M,), the scores of the experts of these tasks.
        tasks: Names of the M tasks that are held out.
        scale: Unit of the scores and which direction is good.
    """
    matrix, bounds = np.asarray(general, dtype=np.float64), np.asarray(upper, dtype=np.float64)
    if not tasks:
        return "no task is held out"
    if scale.better == "lower":
        return "it is the share of a score that is reached; one that is better when lower has none; see general_delta"
    if np.isnan(bounds).all():
        return "the experts of the tasks that are held out were not evaluated; they need train rows"
    for name, score, bound in zip(tasks, matrix[-1], bounds, strict=True):
        if np.isnan(score):
            return f"the held-out task {name} after stage {len(matrix) - 1} was not evaluated"
        if np.isnan(bound):
            return f"the expert of the held-out task {name} was not evaluated; it needs train rows"
        if bound == 0:
            return f"the expert of the held-out task {name} scored 0, which can't be divided by"
    return None


def _wrong_scale(need: _Need, scale: Scale) -> str | None:
    """Why a metric isn't one of such scores."""
    if need.of_losses_alone and not scale.is_loss:
        return "it is a ratio of perplexities, which are of losses in nats"
    if need.is_share and scale.better == "lower":
        instead = "perplexity_gain" if need.divides_by_experts and scale.is_loss else "forgetting"
        return f"it is the share of a score that is kept; one that is better when lower has none; see {instead}"
    return None
