"""Distances from many weighted sets to one, on all cores."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from inscl.transport.costs import Cost
from inscl.transport.distance import TransportResult, quiet, same_width, solve, wasserstein, weighted_points

__all__ = ["distances", "on_all_cores"]

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")
Weighted = tuple[ArrayLike, ArrayLike | None]
"""Vectors, shape (n, d), and their weights, shape (n,); None weights all alike."""

# Fewer cost entries than this, all sets together, are done before threads have begun.
_WORTH_THREADS = 1 << 17
# Entries of one cost matrix among many up to which it isn't worth a product; of one alone, threads of BLAS decide.
_FEW = 1 << 12


def distances(
    count: int,
    source: Callable[[int], Weighted],
    target: Weighted,
    *,
    cost: Literal["cosine", "euclidean"] | Cost = "cosine",
    p: float = 1,
    method: Literal["exact", "entropic"] = "exact",
    entries: int | None = None,
) -> NDArray[np.float64]:
    """The `wasserstein` distance of each of `count` sets to one target, pairs side by side on the cores.

    The solver works outside Python's lock, so that threads do. A pair has one thread, whose matrix product has no more:
    the distances don't depend on the number of cores.

    Args:
        count: Number of sets.
        source: Gives set 0, 1, ..., each when its turn comes, so that not all are held at once.
        target: The set to which all distances are measured.
        cost: As for `wasserstein`.
        p: Likewise.
        method: Likewise.
        entries: About how many entries all cost matrices have; None for many. Few are not worth threads.

    Returns:
        Shape (count,), in units of the cost.

    Raises:
        DataError: As for `wasserstein`.

    Warns:
        TransportWarning: The solver stopped before it was done, at least once.
    """
    threads = entries is None or entries >= _WORTH_THREADS
    if method != "exact" or not threads:
        # The entropic solver's rounds are large products, which have the cores to themselves.
        def alone(k: int) -> float:
            (x, x_weights), (y, y_weights) = source(k), target
            return wasserstein(x, y, x_weights, y_weights, cost=cost, p=p, method=method).distance

        return np.array([alone(k) for k in range(count)], dtype=np.float64)
    y = weighted_points(*target, cost, "y")

    def measured(k: int) -> TransportResult:
        x = weighted_points(*source(k), cost, "x")
        same_width(x, y)
        return _without_plan(solve(x, y, cost, p, few=_FEW))

    found = on_all_cores(measured, range(count))
    for result in found:
        if not result.converged:
            result.warn()
    return np.array([result.distance for result in found], dtype=np.float64)


def on_all_cores(function: Callable[[_Item], _Result], items: Iterable[_Item]) -> list[_Result]:
    """Results in the order of the items, from as many threads as BLAS would take for one product.

    Meanwhile each product has one thread, and no warnings are shown. An error ends it.
    """
    from threadpoolctl import threadpool_info, threadpool_limits

    cores = max((pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"), default=1)
    with quiet(), threadpool_limits(limits=1), ThreadPoolExecutor(cores) as threads:
        return list(threads.map(function, items))


def _without_plan(result: TransportResult) -> TransportResult:
    return TransportResult(result.distance, np.zeros((0, 0)), result.status, result.converged)
