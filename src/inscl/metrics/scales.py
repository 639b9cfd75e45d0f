"""Unit and good direction of each metric, from those of the scores."""

from __future__ import annotations

from inscl.contract.scale import Scale

__all__ = ["gain_of", "scale_of"]


_RATIOS = ("relative_gain", "perplexity_gain", "pooled_perplexity_gain", "p_score")
_LEVELS = ("average_performance", "average_incremental", "forward_transfer_citb")
_LOSSES = ("forgetting", "forgetting_rate", "intransigence")


def gain_of(scale: Scale) -> str:
    """The metric that says how much of the experts' level is kept: of a loss in nats the gain of perplexity."""
    return "perplexity_gain" if scale.is_loss else "relative_gain"


def scale_of(name: str, scale: Scale) -> Scale:
    """Unit and good direction of a metric of a score matrix.

    Args:
        name: A key of `all_metrics`, ``general_delta`` or ``p_score``.
        scale: Of the scores. Levels are as they are; of transfer and gain more is better, of forgetting less.
    """
    unit = "percent" if name in (*_RATIOS, "forgetting_rate") else scale.unit
    if name in _LEVELS:
        return Scale(unit, scale.better)
    return Scale(unit, "lower" if name in _LOSSES else "higher")
