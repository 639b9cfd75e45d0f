"""What the metrics of a configuration are: scorers or measures, in which unit, and what is better."""

from __future__ import annotations

from collections.abc import Iterable

from inscl.config import kinds
from inscl.contract.scale import Scale
from inscl.contract.traits import MeasureTraits, ScorerTraits, traits_of

__all__ = ["metric_traits", "scales_of"]


def metric_traits(name: str) -> ScorerTraits | MeasureTraits:
    """What a metric declares, by its name in ``evaluation.metrics``.

    Raises:
        UnknownComponentError: There is no such scorer or measure.
        ConfigError: It can't be imported.
    """
    return traits_of(kinds.load(kinds.metric_kind(name), name), ScorerTraits)


def scales_of(metrics: Iterable[str]) -> dict[str, Scale]:
    """Unit and direction of each metric, in the order given; raises as `metric_traits` does."""
    return {name: metric_traits(name).scale for name in metrics}
