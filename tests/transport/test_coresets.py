"""Bounds against exact distances, and what a summary must keep of its set."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inscl.errors import ConfigError, DataError
from inscl.transport import bounded_distance, coreset, wasserstein

COSTS = [("cosine", 1), ("cosine", 2), ("euclidean", 1), ("euclidean", 3)]


def clusters(rng: np.random.Generator, n: int, spread: float, d: int = 12) -> tuple[np.ndarray, np.ndarray]:
    centres = rng.normal(size=(5, d)) + rng.normal(size=d)
    return centres[rng.integers(0, 5, n)] + spread * rng.normal(size=(n, d)), rng.integers(1, 9, n).astype(float)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from(COSTS), st.sampled_from([0.0, 0.05, 0.5, 2.0]), st.integers(1, 30))
def test_the_exact_distance_is_within_the_bounds(seed: int, how: tuple, spread: float, size: int) -> None:
    (cost, p), rng = how, np.random.default_rng(seed)
    (x, a), (y, b) = clusters(rng, 40, spread), clusters(rng, 30, spread)
    y[:10] = x[:10]  # part of both, which is where an estimate is furthest off
    one, other = coreset(x, a, size, cost=cost, p=p), coreset(y, b, 3 * size, cost=cost, p=p)
    found = bounded_distance(one, other, cost=cost, p=p)
    exact = wasserstein(x, y, a, b, cost=cost, p=p).distance
    assert found.low - 1e-6 <= exact <= found.high + 1e-6
    assert found.low <= found.distance <= found.high


def test_the_lower_bound_knows_how_far_the_means_are_apart() -> None:
    rng = np.random.default_rng(3)
    noise = rng.normal(size=(2, 60, 12))
    x, y = noise[0] + 2, noise[1] - np.arange(12)
    exact = wasserstein(x, y).distance
    one, other = (v / np.linalg.norm(v, axis=1, keepdims=True) for v in (x, y))
    between = ((one.mean(axis=0) - other.mean(axis=0)) ** 2).sum() / 2
    # Of one point each, that is all that is known.
    found = bounded_distance(coreset(x, None, 1), coreset(y, None, 1))
    assert found.low == pytest.approx(between, rel=1e-5)
    assert found.low <= between < exact
    finer = bounded_distance(coreset(x, None, 30), coreset(y, None, 30))
    near, error = np.sqrt(finer.distance - _spread(x, y, 30)), sum(np.sqrt(coreset(v, None, 30).spread) for v in (x, y))
    assert max(between, (near - error) ** 2) < finer.low < exact


def _spread(x: np.ndarray, y: np.ndarray, size: int) -> float:
    return coreset(x, None, size).spread + coreset(y, None, size).spread


def test_bounds_close_as_summaries_grow() -> None:
    rng = np.random.default_rng(0)
    (x, a), (y, b) = clusters(rng, 200, 0.3), clusters(rng, 150, 0.3)
    exact = wasserstein(x, y, a, b).distance
    found = [bounded_distance(coreset(x, a, size), coreset(y, b, size)) for size in (5, 40, 200)]
    widths = [one.high - one.low for one in found]
    assert widths[0] > widths[1] > widths[2]
    assert widths[2] < 1e-5
    assert found[2].distance == pytest.approx(exact, rel=1e-6)
    assert found[1].distance == pytest.approx(exact, rel=0.1)


def test_points_are_the_means_of_their_clusters_and_keep_all_mass() -> None:
    x, a = clusters(np.random.default_rng(1), 300, 0.1)
    one = coreset(x, a, 5)
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    assert one.weights.sum() == pytest.approx(1)
    # The mean of the points is that of the set, so that a transport of whole clusters has no cross terms.
    np.testing.assert_allclose(one.weights @ one.points, a @ unit / a.sum(), atol=1e-7)
    # By hand: the variance within clusters is the whole variance without that between them.
    whole = (a * (unit**2).sum(axis=1)).sum() / a.sum()
    assert one.spread == pytest.approx((whole - (one.weights * (one.points**2).sum(axis=1)).sum()) / 2, rel=1e-5)


def test_the_same_set_has_the_same_summary_whatever_its_duplicates() -> None:
    x, a = clusters(np.random.default_rng(2), 120, 0.4)
    one, again = coreset(x, a, 10), coreset(x, a, 10)
    assert one.points.tobytes() == again.points.tobytes()
    doubled = coreset(np.concatenate([x, x]), np.concatenate([a, a]) / 2, 10)
    np.testing.assert_allclose(np.sort(doubled.weights), np.sort(one.weights))
    assert len(coreset(np.repeat(x[:3], 50, axis=0), None, 10).points) == 3


def test_a_vector_without_weight_is_no_part_of_a_summary() -> None:
    one = coreset([[1.0, 0.0], [0.0, 1.0]], [1, 0], 4)
    np.testing.assert_array_equal(one.points, [[1, 0]])


def test_what_cannot_be_summarised() -> None:
    with pytest.raises(ConfigError, match="size: must be at least 1, got 0"):
        coreset([[1.0]], None, 0)
    with pytest.raises(ConfigError, match="cost: a summary needs cosine or euclidean, got 'other'"):
        coreset([[1.0]], None, 1, cost="other")
    with pytest.raises(DataError, match=r"vectors\[0\] is the zero vector"):
        coreset([[0.0, 0.0]], None, 1)
    with pytest.raises(DataError, match="vectors of 2 numbers and y of 1"):
        bounded_distance(coreset([[1.0, 0.0]], None, 1), coreset([[1.0]], None, 1))
