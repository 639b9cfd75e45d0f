"""Optimal transport between weighted sets of vectors. The only package that imports POT."""

from __future__ import annotations

from inscl.transport.coresets import Bounded, Coreset, bounded_distance, coreset
from inscl.transport.costs import Cost
from inscl.transport.distance import TransportResult, TransportWarning, wasserstein
from inscl.transport.distances import distances

__all__ = [
    "Bounded",
    "Coreset",
    "Cost",
    "TransportResult",
    "TransportWarning",
    "bounded_distance",
    "coreset",
    "distances",
    "wasserstein",
]
