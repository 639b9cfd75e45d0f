r"""What a score matrix says about learning and forgetting: pure functions, each by its full name.

`scores` has shape (T + 1, T): :math:`R_{i,j}` is the score on task j after stage i, row 0 the base model, NaN where
nothing was evaluated. `experts` has shape (T,): :math:`S_j` is the score on task j of a model trained on it alone.
Tasks and stages count from 1 in equations and messages; arrays start at 0, so that :math:`R_{i,j}` is
``scores[i, j - 1]``.

A metric that needs a cell which is missing, or divides by zero, is NaN: undefined, never computed from the rest.
`undefined_reason` says which cell. The literature uses one name for several formulas; each function says whose it is.
Scores may be in any unit (percent, or 0 to 1); differences come in the same unit, ratios in percent.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from inscl.errors import ConfigError

__all__ = [
    "all_metrics",
    "average_incremental",
    "average_performance",
    "backward_transfer",
    "forgetting",
    "forgetting_rate",
    "forgetting_rate_by_task",
    "forward_transfer",
    "forward_transfer_citb",
    "general_delta",
    "intransigence",
    "relative_gain",
    "relative_gain_average",
    "relative_gain_by_stage",
    "relative_gain_deviation",
    "undefined_reason",
    "undefined_reasons",
]

Floats = NDArray[np.float64]


def relative_gain(scores: ArrayLike, experts: ArrayLike, stage: int | None = None) -> float:
    r"""How much of the experts' level is kept on the earlier tasks; 100 means nothing was forgotten.

    .. math:: \mathrm{Gain}_i = \frac{100}{i-1} \sum_{j<i} \frac{R_{i,j}}{S_j}

    InsCL (Wang et al., NAACL 2024 long 37, section 4; there with Rouge-L).

    Args:
        scores: Shape (T + 1, T).
        experts: Shape (T,).
        stage: i, from 2 to T; None means T.

    Returns:
        Percent; above 100 where later tasks helped. NaN with a single task.
    """
    matrix, upper = _matrix(scores), _experts(experts, scores)
    return _gain(matrix, upper, _stage(matrix, stage, first=2))


def relative_gain_by_stage(scores: ArrayLike, experts: ArrayLike) -> Floats:
    """`relative_gain` after each of the stages 2..T; percent, shape (T - 1,), NaN where undefined."""
    matrix, upper = _matrix(scores), _experts(experts, scores)
    return np.array([_gain(matrix, upper, i) for i in range(2, len(matrix))], dtype=np.float64)


def relative_gain_average(scores: ArrayLike, experts: ArrayLike) -> float:
    """Mean of `relative_gain` over the stages 2..T, percent; InsCL's column AVG."""
    return _mean(relative_gain_by_stage(scores, experts))


def relative_gain_deviation(scores: ArrayLike, experts: ArrayLike) -> float:
    """Standard deviation (of the population) of `relative_gain` over the stages 2..T, percent; InsCL's column STD."""
    gains = relative_gain_by_stage(scores, experts)
    return float(gains.std()) if gains.size else float("nan")


def forgetting_rate_by_task(scores: ArrayLike) -> Floats:
    r"""The share of what was just learned that is lost at the end.

    .. math:: FG_j = 100 \cdot \frac{R_{j,j} - R_{T,j}}{R_{j,j}}

    InsCL (Wang et al., NAACL 2024 long 37, section 4).

    Returns:
        Percent, shape (T,); negative where a task got better. The last task's is 0 by definition.
    """
    matrix = _matrix(scores)
    learned = np.diagonal(matrix[1:])
    return 100 * _ratio(learned - matrix[-1], learned)


def forgetting_rate(scores: ArrayLike, task: int | None = None) -> float:
    """`forgetting_rate_by_task` of one task (its column, from 0), or its mean over all tasks but the last; percent."""
    rates = forgetting_rate_by_task(scores)
    if task is None:
        return _mean(rates[:-1])
    if not 0 <= task < len(rates):
        raise ConfigError(f"task must be a column from 0 to {len(rates) - 1}, got {task}", "metrics")
    return float(rates[task])


def average_performance(scores: ArrayLike, stage: int | None = None) -> float:
    r"""Mean score on the tasks learned so far: :math:`\frac1i \sum_{j \le i} R_{i,j}`.

    At the last stage it is TRACE's OP, O-LoRA's AA and CITB's AR.

    Args:
        scores: Shape (T + 1, T).
        stage: i, from 1 to T; None means T.
    """
    matrix = _matrix(scores)
    i = _stage(matrix, stage, first=1)
    return _mean(matrix[i, :i])


def average_incremental(scores: ArrayLike) -> float:
    r"""Mean of `average_performance` over all stages: :math:`\frac1T \sum_k \frac1k \sum_{j \le k} R_{k,j}`.

    EasyCL's "Avg".
    """
    stages = range(1, len(_matrix(scores)))
    return _mean(np.array([average_performance(scores, k) for k in stages]))


def backward_transfer(scores: ArrayLike) -> float:
    r"""What learning later tasks did to earlier ones: :math:`\frac{1}{T-1} \sum_{j<T} (R_{T,j} - R_{j,j})`.

    GEM (Lopez-Paz & Ranzato, 2017), CITB and EasyCL; SAPT divides by T. Negative means forgetting.
    """
    matrix = _matrix(scores)
    return _mean((matrix[-1] - np.diagonal(matrix[1:]))[:-1])


def forward_transfer(scores: ArrayLike) -> float:
    r"""What learning earlier tasks did to later ones: :math:`\frac{1}{T-1} \sum_{j \ge 2} (R_{j-1,j} - R_{0,j})`.

    GEM (Lopez-Paz & Ranzato, 2017), whose baseline is the model before it learned anything: here the base model.
    """
    matrix = _matrix(scores)
    return _mean((np.diagonal(matrix[:-1]) - matrix[0])[1:])


def forward_transfer_citb(scores: ArrayLike) -> float:
    r"""Mean score on each next task before it is learned: :math:`\frac{1}{T-1} \sum_{j \ge 2} R_{j-1,j}`.

    CITB (Zhang et al., 2023), which takes no baseline away.
    """
    return _mean(np.diagonal(_matrix(scores)[:-1])[1:])


def forgetting(scores: ArrayLike) -> float:
    r"""How far each earlier task ended below its best.

    .. math:: \frac{1}{T-1} \sum_{j<T} \Big( \max_{j \le i < T} R_{i,j} - R_{T,j} \Big)

    Chaudhry et al. (2018), who define scores for tasks already learned only; SAPT "F.Ra". The best is therefore sought
    from stage j on: whether row 0 or a task not yet learned was evaluated too doesn't change it.
    """
    matrix = _matrix(scores)
    best = [matrix[j + 1 : -1, j].max() for j in range(matrix.shape[1] - 1)]
    return _mean(np.array(best) - matrix[-1, :-1])


def intransigence(scores: ArrayLike, experts: ArrayLike) -> float:
    r"""How far a task just learned stays below its expert: :math:`\frac1T \sum_j (S_j - R_{j,j})`.

    Chaudhry et al. (2018), with the expert for their jointly trained model.
    """
    matrix = _matrix(scores)
    return _mean(_experts(experts, scores) - np.diagonal(matrix[1:]))


def general_delta(general: ArrayLike, stage: int | None = None) -> float:
    r"""What learning did to general ability: mean of :math:`R_t - R_0` over benchmarks; TRACE's :math:`\Delta R^G`.

    Args:
        general: Shape (stages + 1, benchmarks), row 0 the base model, NaN where not evaluated.
        stage: t; None means the last row.
    """
    matrix = np.asarray(general, dtype=np.float64)
    if matrix.ndim != 2 or 0 in matrix.shape:
        raise ConfigError(f"expected shape (stages + 1, benchmarks), got {matrix.shape}", "general")
    t = len(matrix) - 1 if stage is None else stage
    if not 0 <= t < len(matrix):
        raise ConfigError(f"stage must be from 0 to {len(matrix) - 1}, got {stage}", "metrics")
    return _mean(matrix[t] - matrix[0])


def all_metrics(
    scores: ArrayLike, experts: ArrayLike | None = None, tasks: Sequence[str] | None = None
) -> dict[str, Any]:
    """Every metric of one score matrix, as ``metrics.json`` has it; None stands for undefined.

    Args:
        scores: Shape (T + 1, T).
        experts: Shape (T,); None if there are none.
        tasks: Names of the T tasks; None calls them "1", "2", ...
    """
    matrix, upper = _matrix(scores), _experts(experts, scores)
    names = _names(matrix, tasks)
    gains = relative_gain_by_stage(matrix, upper)
    return {
        "relative_gain": {
            "final": _or_none(relative_gain(matrix, upper)),
            "average": _or_none(relative_gain_average(matrix, upper)),
            "standard_deviation": _or_none(relative_gain_deviation(matrix, upper)),
            "by_stage": {str(i): _or_none(gain) for i, gain in enumerate(gains, start=2)},
        },
        "forgetting_rate": {
            "mean": _or_none(forgetting_rate(matrix)),
            "by_task": {n: _or_none(r) for n, r in zip(names, forgetting_rate_by_task(matrix), strict=True)},
        },
        "average_performance": _or_none(average_performance(matrix)),
        "average_incremental": _or_none(average_incremental(matrix)),
        "backward_transfer": _or_none(backward_transfer(matrix)),
        "forward_transfer": _or_none(forward_transfer(matrix)),
        "forward_transfer_citb": _or_none(forward_transfer_citb(matrix)),
        "forgetting": _or_none(forgetting(matrix)),
        "intransigence": _or_none(intransigence(matrix, upper)),
    }


@dataclass(frozen=True)
class _Need:
    """What a metric over T tasks reads: cells as (stage, column), columns of the experts, what it divides by."""

    cells: Callable[[int], ArrayLike]
    experts: Callable[[int], range] = lambda _: range(0)
    several: bool = True
    divides_by_learned: bool = False
    divides_by_experts: bool = False


def _learned_and_last(t: int) -> list[tuple[int, int]]:
    return [cell for j in range(t - 1) for cell in ((j + 1, j), (t, j))]


_NEEDS = {
    "relative_gain": _Need(
        lambda t: [(t, j) for j in range(t - 1)], experts=lambda t: range(t - 1), divides_by_experts=True
    ),
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
    name: str, scores: ArrayLike, experts: ArrayLike | None = None, tasks: Sequence[str] | None = None
) -> str | None:
    """Why a metric (at the last stage, over all tasks) is undefined: the first cell in the way; None if it isn't.

    Args:
        name: A key of `all_metrics`.
        scores: Shape (T + 1, T).
        experts: Shape (T,); None if there are none.
        tasks: Names of the T tasks; None calls them "1", "2", ...

    Raises:
        ConfigError: No such metric, or an array of the wrong shape.
    """
    if name not in _NEEDS:
        raise ConfigError(f"no metric named {name!r} (there are: {', '.join(_NEEDS)})", "metrics")
    need, matrix, upper = _NEEDS[name], _matrix(scores), _experts(experts, scores)
    names, count = _names(matrix, tasks), matrix.shape[1]
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
        when = f"after stage {i}" if i else "with the base model"
        return f"R[{i}][{j + 1}]: task {names[j]} {when} was not evaluated"
    for j in need.experts(count):
        if np.isnan(upper[j]):
            return f"S[{j + 1}]: the expert of task {names[j]} was not evaluated"
        if need.divides_by_experts and upper[j] == 0:
            return f"S[{j + 1}]: the expert of task {names[j]} scored 0, which can't be divided by"
    return None


def undefined_reasons(
    scores: ArrayLike, experts: ArrayLike | None = None, tasks: Sequence[str] | None = None
) -> dict[str, str]:
    """`undefined_reason` of every metric that has one."""
    reasons = {name: undefined_reason(name, scores, experts, tasks) for name in _NEEDS}
    return {name: reason for name, reason in reasons.items() if reason is not None}


def _gain(matrix: Floats, upper: Floats, i: int) -> float:
    return _mean(100 * _ratio(matrix[i, : i - 1], upper[: i - 1]))


def _matrix(scores: ArrayLike) -> Floats:
    matrix = np.asarray(scores, dtype=np.float64)
    if matrix.ndim != 2 or matrix.shape[1] < 1 or matrix.shape[0] != matrix.shape[1] + 1:
        raise ConfigError(
            f"expected shape (T + 1, T), row 0 the base model and then one row a stage, got {matrix.shape}", "scores"
        )
    if np.isinf(matrix).any():
        raise ConfigError("a score is infinite; what was not evaluated is NaN", "scores")
    return matrix


def _experts(experts: ArrayLike | None, scores: ArrayLike) -> Floats:
    count = _matrix(scores).shape[1]
    if experts is None:
        return np.full(count, np.nan)
    upper = np.asarray(experts, dtype=np.float64)
    if upper.shape != (count,) or np.isinf(upper).any():
        raise ConfigError(f"expected {count} finite scores (or NaN), one a task, got shape {upper.shape}", "experts")
    return upper


def _names(matrix: Floats, tasks: Sequence[str] | None) -> Sequence[str]:
    count = matrix.shape[1]
    if tasks is not None and len(tasks) != count:
        raise ConfigError(f"expected {count} names, got {len(tasks)}", "tasks")
    return [str(j) for j in range(1, count + 1)] if tasks is None else tasks


def _stage(matrix: Floats, stage: int | None, first: int) -> int:
    last = len(matrix) - 1
    if stage is None:
        return last
    if not first <= stage <= last:
        raise ConfigError(f"stage must be from {first} to {last}, got {stage}", "metrics")
    return stage


def _mean(values: Floats) -> float:
    """The mean, NaN if a value is or if there are none."""
    return float(values.mean()) if values.size else float("nan")


def _ratio(numerators: Floats, denominators: Floats) -> Floats:
    """Element by element, NaN where the denominator is zero or either is NaN."""
    undefined = np.full_like(numerators, np.nan)
    return np.divide(numerators, denominators, out=undefined, where=denominators != 0)


def _or_none(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
