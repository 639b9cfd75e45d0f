"""The costs of moving mass from every vector of one set to every vector of another."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from inscl.errors import DataError

__all__ = ["Cost", "cost_matrix", "points_of"]

Vectors = NDArray[np.float64]
Cost = Callable[[Vectors, Vectors], ArrayLike]

# Up to this many entries, SciPy's loop over differences is quick, and as exact as can be.
_FEW = 1 << 16
# A squared distance below this share of the longest squared length is computed from the differences themselves: the
# product loses about 1e-15 of that length, which would be more than 1e-9 of such a distance.
_NEAR = 1e-6
# Pairs of vectors whose differences are held at once.
_AT_ONCE = 4096


def points_of(vectors: Vectors, cost: str | Cost, name: str) -> Vectors:
    """What the cost looks at: the directions of the vectors for ``"cosine"``, else the vectors.

    Args:
        vectors: Shape (n, d).
        cost: As for `inscl.transport.wasserstein`.
        name: Of the set; for messages.

    Raises:
        DataError: A vector has no direction and the cost needs one.
    """
    if cost != "cosine":
        return vectors
    largest = np.abs(vectors).max(axis=1, keepdims=True)  # divided out first, so that no square over- or underflows
    zero = np.flatnonzero(largest[:, 0] == 0)
    if zero.size:
        raise DataError(f"{name}[{zero[0]}] is the zero vector, which has no direction; the cosine cost needs one")
    scaled = vectors / largest
    directions: Vectors = scaled / np.linalg.norm(scaled, axis=1, keepdims=True)
    return directions


def cost_matrix(x: Vectors, y: Vectors, cost: str | Cost, few: int = _FEW) -> Vectors:
    r"""Costs from every row of `x` to every row of `y`.

    The cosine cost is half the squared chord, :math:`1 - \cos = |x - y|^2 / 2` on unit vectors: never negative, exactly
    0 between equal rows. Larger matrices are made from a matrix product, :math:`|x|^2 + |y|^2 - 2 x \cdot y`, which
    keeps to the differences within 1e-9; what is near is then computed from the differences.

    Args:
        x: Shape (n, d), as `points_of` gives them.
        y: Shape (m, d), likewise.
        cost: As for `inscl.transport.wasserstein`.
        few: Up to this many entries, each is computed from the difference of its two rows.

    Returns:
        Shape (n, m), float64.

    Raises:
        DataError: A cost function gave another shape, or costs that are negative or not finite.
    """
    if cost == "cosine":
        costs = _squared_distances(x, y, few) / 2
    elif cost == "euclidean":
        costs = _distances(x, y, few)
    else:
        assert callable(cost)
        costs = np.asarray(cost(x, y), dtype=np.float64)
        if costs.shape != (len(x), len(y)):
            raise DataError(f"the cost function gave shape {costs.shape}, expected {(len(x), len(y))}")
    # The largest is NaN or infinite where any is.
    if not np.isfinite(costs.max()) or costs.min() < 0:
        raise DataError("a transport cost is negative, infinite or NaN; costs must be finite and not negative")
    return costs


def _distances(x: Vectors, y: Vectors, few: int) -> Vectors:
    if len(x) * len(y) <= few:
        from scipy.spatial.distance import cdist

        return np.asarray(cdist(x, y, "euclidean"), dtype=np.float64)
    # Divided by a power of two, which rounds nothing, so that no square over- or underflows.
    power = int(np.frexp(max(np.abs(x).max(), np.abs(y).max()))[1])
    squared = _squared_distances(np.ldexp(x, -power), np.ldexp(y, -power), few)
    lengths: Vectors = np.ldexp(np.sqrt(squared, out=squared), power)
    return lengths


def _squared_distances(x: Vectors, y: Vectors, few: int) -> Vectors:
    from scipy.spatial.distance import cdist

    if len(x) * len(y) <= few:
        return np.asarray(cdist(x, y, "sqeuclidean"), dtype=np.float64)
    # Around their middle the lengths are no longer than they need be, and with them the rounding.
    middle = y.mean(axis=0)
    u, v = x - middle, y - middle
    lengths_u, lengths_v = np.einsum("ij,ij->i", u, u), np.einsum("ij,ij->i", v, v)
    squared: Vectors = u @ v.T
    squared *= -2
    squared += lengths_u[:, None]
    squared += lengths_v
    rows, columns = np.nonzero(squared < _NEAR * max(lengths_u.max(), lengths_v.max()))
    if len(rows) > squared.size // 8:
        return np.asarray(cdist(x, y, "sqeuclidean"), dtype=np.float64)
    for start in range(0, len(rows), _AT_ONCE):
        r, c = rows[start : start + _AT_ONCE], columns[start : start + _AT_ONCE]
        between = x[r] - y[c]
        squared[r, c] = np.einsum("ij,ij->i", between, between)
    return squared
