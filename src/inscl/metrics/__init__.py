r"""What a score matrix says about learning and forgetting: pure functions, each by its full name.

`scores` has shape (T + 1, T): :math:`R_{i,j}` is the score on task j after stage i, row 0 the base model, NaN where
nothing was evaluated. `experts` has shape (T,): :math:`S_j` is the score on task j of a model trained on it alone.
Tasks and stages count from 1 in equations and messages; arrays start at 0, so that :math:`R_{i,j}` is
``scores[i, j - 1]``.

A metric that needs a cell which is missing, or divides by zero, is NaN: undefined, never computed from the rest.
`inscl.undefined` says which cell. The literature uses one name for several formulas; each function says whose it is.
Scores may be in any unit (percent, 0 to 1, nats); differences come in the same unit, ratios in percent.

The formulas are the literature's, for scores that are better when higher. For scores that are better when lower, such
as losses, the signs of differences are reversed (``better="lower"``): forgetting is positive where a task got worse,
transfer where one got better, whatever is measured. A share of a loss has no meaning: in place of `relative_gain`
losses have `perplexity_gain` and `pooled_perplexity_gain`.
"""

from __future__ import annotations

from inscl.metrics.averages import average_incremental, average_performance, forward_transfer_citb
from inscl.metrics.differences import backward_transfer, forgetting, forward_transfer, general_delta, intransigence
from inscl.metrics.layout import all_metrics, general_metrics, p_score_metrics
from inscl.metrics.matrix import checked_experts, checked_matrix, task_names
from inscl.metrics.perplexities import (
    perplexity_gain,
    perplexity_gain_by_stage,
    pooled_perplexity_gain,
    pooled_perplexity_gain_by_stage,
)
from inscl.metrics.scales import gain_of, scale_of
from inscl.metrics.shares import (
    forgetting_rate,
    forgetting_rate_by_task,
    p_score,
    relative_gain,
    relative_gain_average,
    relative_gain_by_stage,
    relative_gain_deviation,
)

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
    "p_score",
    "p_score_metrics",
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
