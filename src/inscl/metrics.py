r"""What a score matrix says about learning and forgetting: pure functions, each by its full name.

`scores` has shape (T + 1, T): :math:`R_{i,j}` is the score on task j after stage i, row 0 the base model, NaN where
nothing was evaluated. `experts` has shape (T,): :math:`S_j` is the score on task j of a model trained on it alone.
Tasks and stages count from 1 in equations and messages; arrays start at 0, so that :math:`R_{i,j}` is
``scores[i, j - 1]``.

A metric that needs a cell which is missing, or divides by zero, is NaN: undefined, never computed from the rest.
`inscl.undefined` says which cell. The literature uses one name for several formulas; each function says whose it is.
Scores may be in any unit (percent, 0 to 1, nats); differences come in the same unit, ratios in percent.

The formulas are the literature's, for scores that are better when higher. For scores that are better when lower, such
as losses, the differences are turned round (``better="lower"``): forgetting is positive where a task got worse,
transfer where one got better, whatever is measured. A share of a loss has no meaning: in place of `relative_gain`
losses have `perplexity_gain` and `pooled_perplexity_gain`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from inscl.contract.scale import PERCENT, Better, Scale
from inscl.errors import ConfigError

__all__ = [
    "all_metrics",
    "average_incremental",
    "average_performance",
    "backward_transfer",
    "checked_experts",
    "checked_matrix",
    "forgetting",
    "forgetting_rate",
    "forgetting_rate_by_task",
    "forward_transfer",
    "forward_transfer_citb",
    "gain_of",
    "general_delta",
    "general_metrics",
    "intransigence",
    "perplexity_gain",
    "perplexity_gain_by_stage",
    "pooled_perplexity_gain",
    "pooled_perplexity_gain_by_stage",
    "relative_gain",
    "relative_gain_average",
    "relative_gain_by_stage",
    "relative_gain_deviation",
    "scale_of",
    "task_names",
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
    matrix, upper = checked_matrix(scores), checked_experts(experts, scores)
    return _gain(matrix, upper, _stage(matrix, stage, first=2))


def relative_gain_by_stage(scores: ArrayLike, experts: ArrayLike) -> Floats:
    """`relative_gain` after each of the stages 2..T; percent, shape (T - 1,), NaN where undefined."""
    matrix, upper = checked_matrix(scores), checked_experts(experts, scores)
    return np.array([_gain(matrix, upper, i) for i in range(2, len(matrix))], dtype=np.float64)


def relative_gain_average(scores: ArrayLike, experts: ArrayLike) -> float:
    """Mean of `relative_gain` over the stages 2..T, percent; InsCL's column AVG."""
    return _mean(relative_gain_by_stage(scores, experts))


def relative_gain_deviation(scores: ArrayLike, experts: ArrayLike) -> float:
    """Standard deviation (of the population) of `relative_gain` over the stages 2..T, percent; InsCL's column STD."""
    gains = relative_gain_by_stage(scores, experts)
    return float(gains.std()) if gains.size else float("nan")


def perplexity_gain(losses: ArrayLike, experts: ArrayLike, stage: int | None = None) -> float:
    r"""`relative_gain` for losses: the experts' perplexity on each earlier task over the model's, on average.

    .. math:: \mathrm{Gain}_i = \frac{100}{i-1} \sum_{j<i} \frac{e^{S_j}}{e^{L_{i,j}}}
        = \frac{100}{i-1} \sum_{j<i} \exp(S_j - L_{i,j})

    100 means that nothing was forgotten. It is `relative_gain` of :math:`e^{-L}`, the geometric mean of the
    probabilities that the answers' tokens get.

    Args:
        losses: Shape (T + 1, T), nats: :math:`L_{i,j}` is the loss on task j after stage i.
        experts: Shape (T,), nats.
        stage: i, from 2 to T; None means T.

    Returns:
        Percent; above 100 where later tasks helped. NaN with a single task.
    """
    return _mean(100 * np.exp(_saved(losses, experts, stage)))


def perplexity_gain_by_stage(losses: ArrayLike, experts: ArrayLike) -> Floats:
    """`perplexity_gain` after each of the stages 2..T; percent, shape (T - 1,), NaN where undefined."""
    return np.array(
        [perplexity_gain(losses, experts, i) for i in range(2, len(checked_matrix(losses)))], dtype=np.float64
    )


def pooled_perplexity_gain(losses: ArrayLike, experts: ArrayLike, stage: int | None = None) -> float:
    r"""The ratio of the perplexities of the mean losses: the geometric mean of the ratios, each task counting once.

    .. math:: 100 \cdot \exp\Big( \frac{1}{i-1} \sum_{j<i} (S_j - L_{i,j}) \Big)

    A mean of ratios follows the one task with the largest; this one is moved alike by a nat more on any task. Tasks are
    not weighted by their tokens: one with long answers would decide alone, and Relative Gain counts tasks once too.
    It is never above `perplexity_gain` (the inequality of the means).

    Args:
        losses: Shape (T + 1, T), nats.
        experts: Shape (T,), nats.
        stage: i, from 2 to T; None means T.

    Returns:
        Percent. NaN with a single task.
    """
    return float(100 * np.exp(_mean(_saved(losses, experts, stage))))


def pooled_perplexity_gain_by_stage(losses: ArrayLike, experts: ArrayLike) -> Floats:
    """`pooled_perplexity_gain` after each of the stages 2..T; percent, shape (T - 1,), NaN where undefined."""
    stages = range(2, len(checked_matrix(losses)))
    return np.array([pooled_perplexity_gain(losses, experts, i) for i in stages], dtype=np.float64)


def forgetting_rate_by_task(scores: ArrayLike) -> Floats:
    r"""The share of what was just learned that is lost at the end.

    .. math:: FG_j = 100 \cdot \frac{R_{j,j} - R_{T,j}}{R_{j,j}}

    InsCL (Wang et al., NAACL 2024 long 37, section 4).

    Returns:
        Percent, shape (T,); negative where a task got better. The last task's is 0 by definition.
    """
    matrix = checked_matrix(scores)
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
    matrix = checked_matrix(scores)
    i = _stage(matrix, stage, first=1)
    return _mean(matrix[i, :i])


def average_incremental(scores: ArrayLike) -> float:
    r"""Mean of `average_performance` over all stages: :math:`\frac1T \sum_k \frac1k \sum_{j \le k} R_{k,j}`.

    EasyCL's "Avg".
    """
    stages = range(1, len(checked_matrix(scores)))
    return _mean(np.array([average_performance(scores, k) for k in stages]))


def backward_transfer(scores: ArrayLike, better: Better = "higher") -> float:
    r"""What learning later tasks did to earlier ones: :math:`\frac{1}{T-1} \sum_{j<T} (R_{T,j} - R_{j,j})`.

    GEM (Lopez-Paz & Ranzato, 2017), CITB and EasyCL; SAPT divides by T. Negative means forgetting.
    """
    matrix = _upward(scores, better)
    return _mean((matrix[-1] - np.diagonal(matrix[1:]))[:-1])


def forward_transfer(scores: ArrayLike, better: Better = "higher") -> float:
    r"""What learning earlier tasks did to later ones: :math:`\frac{1}{T-1} \sum_{j \ge 2} (R_{j-1,j} - R_{0,j})`.

    GEM (Lopez-Paz & Ranzato, 2017), whose baseline is the model before it learned anything: here the base model.
    """
    matrix = _upward(scores, better)
    return _mean((np.diagonal(matrix[:-1]) - matrix[0])[1:])


def forward_transfer_citb(scores: ArrayLike) -> float:
    r"""Mean score on each next task before it is learned: :math:`\frac{1}{T-1} \sum_{j \ge 2} R_{j-1,j}`.

    CITB (Zhang et al., 2023), which takes no baseline away.
    """
    return _mean(np.diagonal(checked_matrix(scores)[:-1])[1:])


def forgetting(scores: ArrayLike, better: Better = "higher") -> float:
    r"""How far each earlier task ended below its best; of a loss, above its least.

    .. math:: \frac{1}{T-1} \sum_{j<T} \Big( \max_{j \le i < T} R_{i,j} - R_{T,j} \Big)

    Chaudhry et al. (2018), who define scores for tasks already learned only; SAPT "F.Ra". The best is therefore sought
    from stage j on: whether row 0 or a task not yet learned was evaluated too doesn't change it.
    """
    matrix = _upward(scores, better)
    best = [matrix[j + 1 : -1, j].max() for j in range(matrix.shape[1] - 1)]
    return _mean(np.array(best) - matrix[-1, :-1])


def intransigence(scores: ArrayLike, experts: ArrayLike, better: Better = "higher") -> float:
    r"""How far a task just learned stays below its expert: :math:`\frac1T \sum_j (S_j - R_{j,j})`.

    Chaudhry et al. (2018), with the expert for their jointly trained model.
    """
    missing = checked_experts(experts, scores) - np.diagonal(checked_matrix(scores)[1:])
    return _mean(missing if better == "higher" else -missing)


def general_delta(general: ArrayLike, stage: int | None = None, better: Better = "higher") -> float:
    r"""What learning did to general ability: the change since the base model, a mean over tasks that are held out.

    .. math:: \Delta R^G_t = \frac1M \sum_{m=1}^M (R^G_{t,m} - R^G_{0,m})

    TRACE (Wang et al., 2023), whose general benchmarks are tasks that are scored and never learned.

    Args:
        general: Shape (stages + 1, M), row 0 the base model, NaN where not evaluated.
        stage: t; None means the last row.
        better: Which direction is good; a positive delta is a gain either way.
    """
    matrix = np.asarray(general, dtype=np.float64)
    if matrix.ndim != 2 or 0 in matrix.shape:
        raise ConfigError(f"expected shape (stages + 1, held-out tasks), got {matrix.shape}", "general")
    t = len(matrix) - 1 if stage is None else stage
    if not 0 <= t < len(matrix):
        raise ConfigError(f"stage must be from 0 to {len(matrix) - 1}, got {stage}", "metrics")
    return _mean(matrix[t] - matrix[0] if better == "higher" else matrix[0] - matrix[t])


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
            "mean": _or_none(forgetting_rate(shares)),
            "by_task": {n: _or_none(r) for n, r in zip(names, forgetting_rate_by_task(shares), strict=True)},
        },
        "average_performance": _or_none(average_performance(matrix)),
        "average_incremental": _or_none(average_incremental(matrix)),
        "backward_transfer": _or_none(backward_transfer(matrix, better)),
        "forward_transfer": _or_none(forward_transfer(matrix, better)),
        "forward_transfer_citb": _or_none(forward_transfer_citb(matrix)),
        "forgetting": _or_none(forgetting(matrix, better)),
        "intransigence": _or_none(intransigence(matrix, upper, better)),
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
        "final": _or_none(general_delta(matrix, better=better)),
        "by_stage": {str(t): _or_none(general_delta(matrix, t, better)) for t in range(1, len(matrix))},
        "by_task": {name: _or_none(general_delta(matrix[:, [m]], better=better)) for m, name in enumerate(tasks)},
    }


_RATIOS = ("relative_gain", "perplexity_gain", "pooled_perplexity_gain")
_LEVELS = ("average_performance", "average_incremental", "forward_transfer_citb")
_LOSSES = ("forgetting", "forgetting_rate", "intransigence")


def gain_of(scale: Scale) -> str:
    """The metric that says how much of the experts' level is kept: of a loss in nats the gain of perplexity."""
    return "perplexity_gain" if scale.is_loss else "relative_gain"


def scale_of(name: str, scale: Scale) -> Scale:
    """Unit and good direction of a metric of a score matrix.

    Args:
        name: A key of `all_metrics`, or ``general_delta``.
        scale: Of the scores. Levels are as they are; of transfer and gain more is better, of forgetting less.
    """
    unit = "percent" if name in (*_RATIOS, "forgetting_rate") else scale.unit
    if name in _LEVELS:
        return Scale(unit, scale.better)
    return Scale(unit, "lower" if name in _LOSSES else "higher")


def _gain(matrix: Floats, upper: Floats, i: int) -> float:
    return _mean(100 * _ratio(matrix[i, : i - 1], upper[: i - 1]))


def _saved(losses: ArrayLike, experts: ArrayLike, stage: int | None) -> Floats:
    """Nats that the model stands below the experts' loss on each task before `stage`."""
    matrix, upper = checked_matrix(losses), checked_experts(experts, losses)
    i = _stage(matrix, stage, first=2)
    return upper[: i - 1] - matrix[i, : i - 1]


def _upward(scores: ArrayLike, better: Better) -> Floats:
    """The matrix with its sign such that higher is better."""
    matrix = checked_matrix(scores)
    return matrix if better == "higher" else -matrix


def _by_stage(gains: Floats) -> dict[str, Any]:
    """A gain after the stages 2..T as ``metrics.json`` has it."""
    return {
        "final": _or_none(gains[-1]) if gains.size else None,
        "average": _or_none(_mean(gains)),
        "standard_deviation": _or_none(gains.std()) if gains.size else None,
        "by_stage": {str(i): _or_none(gain) for i, gain in enumerate(gains, start=2)},
    }


def checked_matrix(scores: ArrayLike) -> Floats:
    """A score matrix as an array of shape (T + 1, T).

    Raises:
        ConfigError: It has another shape, or an infinite score.
    """
    matrix = np.asarray(scores, dtype=np.float64)
    if matrix.ndim != 2 or matrix.shape[1] < 1 or matrix.shape[0] != matrix.shape[1] + 1:
        raise ConfigError(
            f"expected shape (T + 1, T), row 0 the base model and then one row a stage, got {matrix.shape}", "scores"
        )
    if np.isinf(matrix).any():
        raise ConfigError("a score is infinite; what was not evaluated is NaN", "scores")
    return matrix


def checked_experts(experts: ArrayLike | None, scores: ArrayLike) -> Floats:
    """The experts' scores, shape (T,); all NaN if there are none.

    Raises:
        ConfigError: There are more or fewer than `scores` has tasks, or one is infinite.
    """
    count = checked_matrix(scores).shape[1]
    if experts is None:
        return np.full(count, np.nan)
    upper = np.asarray(experts, dtype=np.float64)
    if upper.shape != (count,) or np.isinf(upper).any():
        raise ConfigError(f"expected {count} finite scores (or NaN), one a task, got shape {upper.shape}", "experts")
    return upper


def task_names(matrix: Floats, tasks: Sequence[str] | None) -> Sequence[str]:
    """Names of the tasks of a matrix: `tasks`, or "1", "2", ... if None.

    Raises:
        ConfigError: There are more or fewer names than tasks.
    """
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
