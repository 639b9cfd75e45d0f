"""Optimal transport between weighted sets of vectors. The only package that imports POT."""

from __future__ import annotations

from inscl.transport.costs import Cost
from inscl.transport.distance import TransportResult, TransportWarning, wasserstein
from inscl.transport.distances import distances

__all__ = ["Cost", "TransportResult", "TransportWarning", "distances", "wasserstein"]
