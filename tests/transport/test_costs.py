"""Costs from a product against costs from differences, where products are at their worst."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from inscl.transport.costs import cost_matrix, points_of

METRIC = {"cosine": "sqeuclidean", "euclidean": "euclidean"}


def by_differences(x: np.ndarray, y: np.ndarray, cost: str) -> np.ndarray:
    # In long double, so that what is compared with is no rounding of its own.
    x, y = points_of(x, cost, "x").astype(np.longdouble), points_of(y, cost, "y").astype(np.longdouble)
    squared = np.stack([((row - y) ** 2).sum(axis=1) for row in x])
    return squared / 2 if cost == "cosine" else np.sqrt(squared)


def clouds(distance: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """300 vectors, and as many of which half lie at `distance` (a share of their length) from one of the first."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(300, 96)) + 2
    y = rng.normal(size=(300, 96)) + 2
    y[:150] = x[rng.permutation(300)[:150]] * (1 + distance * rng.normal(size=(150, 96)))
    return x, y


@pytest.mark.parametrize("cost", ["cosine", "euclidean"])
@pytest.mark.parametrize("distance", [0.0, 1e-12, 1e-8, 1e-5, 1e-3, 0.1])
def test_large_matrices_keep_to_the_differences(cost: str, distance: float) -> None:
    x, y = clouds(distance)
    found = cost_matrix(points_of(x, cost, "x"), points_of(y, cost, "y"), cost)
    expected = by_differences(x, y, cost)
    assert np.abs(found - expected).max() < 1e-9 * expected.max()
    # Near pairs are right to nine digits of their own, not of the longest.
    near = expected > 0
    assert (np.abs(found - expected)[near] <= 1e-9 * expected[near] + 1e-15 * expected.max()).all()


@pytest.mark.parametrize("cost", ["cosine", "euclidean"])
def test_equal_rows_cost_nothing_at_all(cost: str) -> None:
    x, _ = clouds(0)
    order = np.random.default_rng(1).permutation(len(x))
    points = points_of(x, cost, "x")
    costs = cost_matrix(points, points_of(x[order], cost, "y"), cost)
    assert (costs[order, np.arange(len(x))] == 0).all()
    assert (costs >= 0).all()


def test_a_matrix_of_equal_rows_throughout() -> None:
    assert (cost_matrix(np.ones((300, 5)), np.ones((300, 5)), "euclidean") == 0).all()
    assert (cost_matrix(np.zeros((300, 5)), np.zeros((300, 5)), "euclidean") == 0).all()


@pytest.mark.parametrize("scale", [1e-200, 1e200])
def test_extreme_lengths(scale: float) -> None:
    x, y = clouds(0.1)
    found = cost_matrix(x * scale, y * scale, "euclidean")
    np.testing.assert_allclose(found, cdist(x, y, "euclidean") * scale, rtol=1e-9)


def test_points_far_from_the_origin_and_near_each_other() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(300, 8)) + 1e6, rng.normal(size=(300, 8)) + 1e6
    np.testing.assert_allclose(cost_matrix(x, y, "euclidean"), cdist(x, y, "euclidean"), rtol=1e-9)
