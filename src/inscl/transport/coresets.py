"""A weighted set told by fewer points, and distances between such sets with bounds on the exact ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from inscl.errors import ConfigError, DataError, Problem
from inscl.transport.distance import WeightedPoints, same_width, solve, weighted_points

__all__ = ["Bounded", "Coreset", "bounded_distance", "coreset"]

# Lloyd's rounds: what later ones gain is far below what the summary loses.
_ROUNDS = 20
# Two means of vectors of length 1 at most, whose points were rounded to float32, are off by no more.
_ROUNDED = 2.0**-23
# Entries of a cost matrix up to which it isn't worth a product.
_FEW = 1 << 12


@dataclass(frozen=True, eq=False)
class Coreset:
    r"""A few weighted points that stand for a weighted set.

    Attributes:
        points: Shape (k, d), float32: means of clusters. With the cosine cost these are means of unit vectors, shorter
            than 1, and half the squared chord is the cost between them.
        weights: Shape (k,), float64: the mass of each cluster; they sum to 1.
        spread: The cost of carrying every vector to its cluster's point, :math:`\sum_x a_x\, c(x, m(x))^p`; where every
            vector is a point, what rounding to float32 costs.
    """

    points: NDArray[np.float32]
    weights: NDArray[np.float64]
    spread: float


@dataclass(frozen=True)
class Bounded:
    """A distance between summaries, and what the exact one can be at most and at least.

    Attributes:
        distance: The estimate, in units of the cost.
        low: The exact distance isn't below.
        high: Nor above.
    """

    distance: float
    low: float
    high: float


def coreset(vectors: ArrayLike, weights: ArrayLike | None, size: int, *, cost: str = "cosine", p: float = 1) -> Coreset:
    """Summarise a weighted set in at most `size` points: the means of clusters by k-means (scikit-learn's ``KMeans``).

    The same set gives the same summary. Sets of at most `size` different vectors are kept as they are.

    Args:
        vectors: Shape (n, d), finite.
        weights: Shape (n,), not negative; None weights all alike.
        size: Most points, at least 1.
        cost: ``"cosine"`` or ``"euclidean"``.
        p: Order of the distances that the summary is for, at least 1.

    Raises:
        DataError: Vectors or weights can't be used.
        ConfigError: `size` is below 1, or the cost is another one.
    """
    if size < 1 or cost not in ("cosine", "euclidean"):
        said = f"must be at least 1, got {size}" if size < 1 else f"a summary needs cosine or euclidean, got {cost!r}"
        raise ConfigError([Problem("size" if size < 1 else "cost", said)])
    from scipy.sparse import csr_array

    one = weighted_points(vectors, weights, cost, "vectors")
    points, masses = _distinct(one.points[one.masses > 0], one.masses[one.masses > 0])
    labels = np.arange(len(points)) if len(points) <= size else _labels(points, masses, size)
    held = np.bincount(labels, masses).astype(np.float64)
    shares = csr_array((masses / held[labels], (labels, np.arange(len(points)))), shape=(len(held), len(points)))
    means = (shares @ points).astype(np.float32)
    # Against the points as they are kept, so that rounding them is part of the spread.
    apart = ((points - means[labels]) ** 2).sum(axis=1)
    costs = apart / 2 if cost == "cosine" else np.sqrt(apart)
    return Coreset(means, held, float((masses * costs**p).sum()))


def bounded_distance(x: Coreset, y: Coreset, *, cost: str = "cosine", p: float = 1) -> Bounded:
    r"""The distance between two summaries, with bounds on that between the sets that they stand for.

    A metric D keeps to :math:`|D(\mu,\nu) - D(\hat\mu,\hat\nu)| \le D(\mu,\hat\mu) + D(\nu,\hat\nu)`. With the
    Euclidean cost D is the distance itself; with the cosine cost it is its square root (`wasserstein` says why).

    With the cosine cost and p = 1 there is a closer bound from above, which is the estimate too:
    :math:`W(\hat\mu,\hat\nu)` and both spreads together. It is what transport costs that moves the mass of each cluster
    as one: since the points are the means of their clusters, the squared chords add up. From below, the sets are first
    moved on top of each other: half the squared distance :math:`\Delta` of their means, which summaries keep, is part
    of every transport, so that the triangle inequality is needed for the rest alone:

    .. math:: W(\mu,\nu) \ge \tfrac{\Delta^2}{2} + \Big(\sqrt{W(\hat\mu,\hat\nu) - \tfrac{\Delta^2}{2}}
              - \sqrt{W(\mu,\hat\mu)} - \sqrt{W(\nu,\hat\nu)}\Big)_+^2

    Args:
        x: One summary.
        y: The other, made with the same cost and order.
        cost: ``"cosine"`` or ``"euclidean"``.
        p: Order.

    Raises:
        DataError: The vectors differ in length, or the solver stopped before it was done.
    """
    one, other = (WeightedPoints(s.points.astype(np.float64), s.weights) for s in (x, y))
    same_width(one, other)
    # Every pair of a plan costs this: from a product it takes a seventh of the time.
    result = solve(one, other, cost, p, few=_FEW)
    if not result.converged:
        raise DataError(f"the distance between two summaries was not found: {result.status}; use exact distances")
    power = 0.5 if cost == "cosine" else 1.0
    near = result.distance**power
    error = sum(s.spread ** (power / p) for s in (x, y))
    low, high = max(0.0, near - error) ** (1 / power), (near + error) ** (1 / power)
    if cost == "cosine" and p == 1:
        between = _between_means(one, other)
        rest = max(0.0, result.distance - between) ** power
        low = between + max(0.0, rest - error) ** (1 / power)
        moved = result.distance + x.spread + y.spread
        return Bounded(moved, min(low, moved), moved)
    return Bounded(result.distance, low, high)


def _between_means(x: WeightedPoints, y: WeightedPoints) -> float:
    """Half the squared distance of the means, less what the rounding of points to float32 may have added."""
    apart = float(np.linalg.norm(x.masses @ x.points - y.masses @ y.points))
    return max(0.0, apart - _ROUNDED) ** 2 / 2


def _distinct(
    points: NDArray[np.float64], masses: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The different rows, in the order in which they came, with the masses of equal ones added."""
    numbers: dict[bytes, int] = {}
    places = [numbers.setdefault(row.tobytes(), len(numbers)) for row in points]
    if len(numbers) == len(points):
        return points, masses
    _, first = np.unique(places, return_index=True)
    return points[first], np.bincount(places, masses).astype(np.float64)


def _labels(points: NDArray[np.float64], masses: NDArray[np.float64], size: int) -> NDArray[np.int64]:
    """Cluster of each point, 0..k-1, none of them empty."""
    from sklearn.cluster import KMeans, kmeans_plusplus
    from threadpoolctl import threadpool_limits

    # Threads add their sums up in the order in which they finish; with one, the same points give the same clusters.
    with threadpool_limits(limits=1):
        # One try for each start takes half the time of scikit-learn's six and gives nearly the same spread.
        starts, _ = kmeans_plusplus(points, size, sample_weight=masses, random_state=0, n_local_trials=1)
        means = KMeans(n_clusters=size, init=starts, n_init=1, max_iter=_ROUNDS).fit(points, sample_weight=masses)
    _, labels = np.unique(means.labels_, return_inverse=True)
    return labels.astype(np.int64)
