"""Distances against a linear programme, the axioms of a metric, and everything that must be refused."""

import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog
from scipy.spatial.distance import cdist

from inscl.errors import ConfigError, DataError
from inscl.transport import TransportWarning, wasserstein

cases = settings(max_examples=60, deadline=None)
seeds = st.integers(0, 2**32 - 1)


def cloud(rng, n=None, d=3):
    """A few points with weights as frequencies are: positive counts."""
    n = n or int(rng.integers(1, 8))
    return rng.normal(size=(n, d)), rng.integers(1, 20, n).astype(float)


def by_linear_programme(costs, a, b, p):
    """min <P, C^p> over P >= 0 with row sums a and column sums b, written out for a general-purpose solver."""
    n, m = costs.shape
    rows = np.kron(np.eye(n), np.ones(m))
    columns = np.kron(np.ones(n), np.eye(m))
    solution = linprog((costs**p).ravel(), A_eq=np.vstack([rows, columns]), b_eq=np.concatenate([a, b]), method="highs")
    assert solution.success
    return solution.fun ** (1 / p)


@cases
@given(seeds, st.sampled_from(["cosine", "euclidean"]), st.sampled_from([1, 1.5, 2, 3]))
def test_the_exact_distance_is_the_optimum_of_the_linear_programme(seed, cost, p):
    rng = np.random.default_rng(seed)
    (x, a), (y, b) = cloud(rng), cloud(rng)
    result = wasserstein(x, y, a, b, cost=cost, p=p)
    expected = by_linear_programme(cdist(x, y, cost), a / a.sum(), b / b.sum(), p)
    assert result.distance == pytest.approx(expected, rel=1e-7, abs=1e-9)
    assert (result.status, result.converged) == ("optimal", True)
    np.testing.assert_allclose(result.plan.sum(axis=1), a / a.sum(), atol=1e-12)
    np.testing.assert_allclose(result.plan.sum(axis=0), b / b.sum(), atol=1e-12)
    assert (result.plan >= 0).all()


def test_a_distance_worked_by_hand():
    # Unit vectors at 0 and 90 degrees, cosine cost 1 between them. x has 3/4 at 0 degrees, y has 1/4 there: 1/2 has to
    # move over a cost of 1.
    corners = [[1.0, 0.0], [0.0, 2.0]]
    result = wasserstein(corners, corners, [3, 1], [1, 3])
    assert result.distance == pytest.approx(0.5)
    np.testing.assert_allclose(result.plan, [[0.25, 0.5], [0.0, 0.25]])
    # p = 2: the square root of 1/2 * 1^2.
    assert wasserstein(corners, corners, [3, 1], [1, 3], p=2).distance == pytest.approx(0.5**0.5)


def test_small_sets_keep_every_bit_of_their_distance():
    """Plans that were recorded come out the same: costs of small sets are SciPy's, and sums are taken in one order."""
    rng = np.random.default_rng(7)
    (x, a), (y, b) = cloud(rng, 40, 64), cloud(rng, 50, 64)
    result = wasserstein(x, y, a, b, cost="euclidean")
    costs = cdist(x, y, "euclidean")
    assert result.distance == costs.max() * float((result.plan * (costs / costs.max())).sum())


def test_no_weights_means_equal_weights():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(4, 3)), rng.normal(size=(5, 3))
    assert wasserstein(x, y).distance == wasserstein(x, y, [1] * 4, [7] * 5).distance
    assert wasserstein(x, y).distance != wasserstein(x, y, [1, 2, 3, 4]).distance


@cases
@given(seeds, st.sampled_from(["cosine", "euclidean"]), st.sampled_from([1, 2, 3]))
def test_symmetric_and_exactly_zero_on_itself_in_any_order(seed, cost, p):
    rng = np.random.default_rng(seed)
    (x, a), (y, b) = cloud(rng), cloud(rng)
    there, back = wasserstein(x, y, a, b, cost=cost, p=p), wasserstein(y, x, b, a, cost=cost, p=p)
    assert there.distance == pytest.approx(back.distance, rel=1e-9)
    order = rng.permutation(len(x))
    assert wasserstein(x, x[order], a, a[order], cost=cost, p=p).distance == 0
    assert wasserstein(x[order], y, a[order], b, cost=cost, p=p).distance == pytest.approx(there.distance, rel=1e-9)


def test_zero_on_itself_for_real_sizes_and_float32():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(150, 576)).astype(np.float32)
    a = rng.random(150)
    order = rng.permutation(150)
    for p in (1, 2):
        assert wasserstein(x, x, a, a, p=p).distance == 0
        assert wasserstein(x, x[order], a, a[order], p=p).distance == 0


@cases
@given(seeds, st.sampled_from(["cosine", "euclidean"]))
def test_duplicates_are_one_point_with_their_weights_added(seed, cost):
    rng = np.random.default_rng(seed)
    (x, a), (y, b) = cloud(rng), cloud(rng)
    copies = rng.integers(1, 4, len(x))
    repeated = np.repeat(x, copies, axis=0)
    merged = wasserstein(x, y, a * copies, b, cost=cost).distance
    assert wasserstein(repeated, y, np.repeat(a, copies), b, cost=cost).distance == pytest.approx(merged, rel=1e-9)
    # Exactly, though the sums are rounded: at p = 2 a rounding error of 1e-17 in the mass would show as 3e-9.
    assert wasserstein(repeated, x, np.repeat(a, copies), a * copies, cost=cost, p=2).distance == 0


@cases
@given(seeds, st.sampled_from([1, 1.5, 2, 4]))
def test_triangle_inequality_of_the_euclidean_distance(seed, p):
    rng = np.random.default_rng(seed)
    (x, a), (y, b), (z, c) = cloud(rng), cloud(rng), cloud(rng)
    xz, xy, yz = (
        wasserstein(u, v, s, t, cost="euclidean", p=p).distance
        for u, v, s, t in ((x, z, a, c), (x, y, a, b), (y, z, b, c))
    )
    assert xz <= xy + yz + 1e-9


@cases
@given(seeds, st.sampled_from([1, 2]))
def test_the_square_root_of_the_cosine_distance_keeps_the_triangle_inequality(seed, p):
    rng = np.random.default_rng(seed)
    (x, a), (y, b), (z, c) = cloud(rng), cloud(rng), cloud(rng)
    xz, xy, yz = (
        wasserstein(u, v, s, t, p=p).distance ** 0.5 for u, v, s, t in ((x, z, a, c), (x, y, a, b), (y, z, b, c))
    )
    assert xz <= xy + yz + 1e-9


def test_the_cosine_distance_itself_does_not():
    # 0, 45 and 90 degrees: 1 - cos is 0.293 a leg and 1 in all.
    x, y, z = [[1.0, 0.0]], [[1.0, 1.0]], [[0.0, 1.0]]
    assert wasserstein(x, z).distance > wasserstein(x, y).distance + wasserstein(y, z).distance


def test_the_cosine_cost_ignores_lengths_even_extreme_ones():
    x, y = np.array([[1.0, 2.0], [3.0, -1.0]]), np.array([[0.5, 0.1], [2.0, 2.0]])
    plain = wasserstein(x, y).distance
    for factor in (1e-200, 1e200):
        assert wasserstein(x * factor, y / factor).distance == pytest.approx(plain, rel=1e-12)
    assert wasserstein(x, x * 3).distance < 1e-15


def test_large_costs_and_orders_do_not_overflow():
    x, y = np.array([[0.0], [1e100]]), np.array([[1e100], [3e100]])
    # Sorted points are matched in order: 1e100 and 2e100, half the mass each.
    expected = 1e100 * ((1 + 2.0**8) / 2) ** (1 / 8)
    assert wasserstein(x, y, cost="euclidean", p=8).distance == pytest.approx(expected)


def test_rows_of_no_weight_move_nothing():
    x, y = np.array([[0.0], [5.0], [9.0]]), np.array([[1.0], [7.0]])
    for method in ("exact", "entropic"):
        result = wasserstein(x, y, [1, 0, 0], [0, 3], cost="euclidean", method=method)
        assert result.distance == pytest.approx(7)
        np.testing.assert_allclose(result.plan, [[0, 1], [0, 0], [0, 0]], atol=1e-9)


def test_a_cost_function():
    x, y = np.array([[0.0], [4.0]]), np.array([[1.0], [9.0]])
    # Matched in order at the root of the gap: (1 + sqrt 5) / 2; crossed would be (3 + sqrt 3) / 2.
    result = wasserstein(x, y, cost=lambda u, v: np.abs(u - v.T) ** 0.5)
    assert result.distance == pytest.approx((1 + 5**0.5) / 2)


def test_the_entropic_distance_nears_the_exact_one_from_above():
    rng = np.random.default_rng(3)
    (x, a), (y, b) = cloud(rng, 6), cloud(rng, 7)
    exact = wasserstein(x, y, a, b).distance
    rough, fine = (
        wasserstein(x, y, a, b, method="entropic", regularisation=r, max_iterations=100_000) for r in (0.5, 0.01)
    )
    assert rough.converged
    assert fine.status == "converged"
    assert exact <= fine.distance <= rough.distance
    assert fine.distance == pytest.approx(exact, rel=0.02)
    np.testing.assert_allclose(fine.plan.sum(axis=0), b / b.sum(), atol=1e-8)


def test_an_entropic_solver_that_gives_up_says_so():
    rng = np.random.default_rng(4)
    (x, a), (y, b) = cloud(rng, 6), cloud(rng, 7)
    with pytest.warns(TransportWarning, match="misses its marginals"):
        result = wasserstein(x, y, a, b, method="entropic", regularisation=1e-3, max_iterations=3)
    assert not result.converged
    assert result.status.startswith("not converged: after 3 Sinkhorn rounds")


def test_an_exact_solver_that_gives_up_says_so():
    rng = np.random.default_rng(5)
    x, y = rng.normal(size=(60, 4)), rng.normal(size=(60, 4))
    with pytest.warns(TransportWarning, match="raise max_iterations") as caught:
        result = wasserstein(x, y, max_iterations=2)
    assert len(caught) == 1
    assert not result.converged
    assert result.status.startswith("not converged: the network simplex stopped within 2 pivots")


x0 = np.eye(3)


@pytest.mark.parametrize(
    ("x", "y", "weights", "message"),
    [
        ([1.0, 2.0], x0, None, r"x has shape \(2,\)"),
        (np.empty((0, 3)), x0, None, r"x has shape \(0, 3\)"),
        (x0, np.empty((3, 0)), None, r"y has shape \(3, 0\)"),
        (x0, np.eye(4), None, "vectors of 3 numbers and y of 4"),
        ([["a", "b"]], x0, None, "x is not an array of numbers"),
        ([[1, 2], [3]], x0, None, "x is not an array of numbers"),
        (x0, [[1, 0, 0], [0, np.nan, 1]], None, r"y\[1\] holds NaN"),
        ([[np.inf, 0, 0]], x0, None, r"x\[0\] holds NaN or an infinity"),
        (x0, [[1, 0, 0], [0, 0, 0]], None, r"y\[1\] is the zero vector"),
        (x0, x0, [1, 1], r"x_weights has shape \(2,\); expected \(3,\)"),
        (x0, x0, [1, -1, 1], r"x_weights\[1\] is -1.0"),
        (x0, x0, [1, 1, np.nan], r"x_weights\[2\] is nan"),
        (x0, x0, [0, 0, 0], "x_weights are all zero"),
        (x0, x0, ["a", "b", "c"], "x_weights is not an array of numbers"),
    ],
)
def test_vectors_and_weights_that_cannot_be_used(x, y, weights, message):
    with pytest.raises(DataError, match=message):
        wasserstein(x, y, weights)


def test_the_zero_vector_is_a_point_like_any_other_for_the_euclidean_cost():
    assert wasserstein([[0.0, 0.0]], [[3.0, 4.0]], cost="euclidean").distance == pytest.approx(5)


@pytest.mark.parametrize(
    ("cost", "message"),
    [
        (lambda u, v: np.ones((1, 1)), r"gave shape \(1, 1\), expected \(3, 3\)"),
        (lambda u, v: u @ v.T - 1, "negative, infinite or NaN"),
        (lambda u, v: np.full((3, 3), np.nan), "negative, infinite or NaN"),
    ],
)
def test_a_cost_function_that_cannot_be_used(cost, message):
    with pytest.raises(DataError, match=message):
        wasserstein(x0, x0, cost=cost)


def test_every_wrong_setting_is_told_at_once():
    with pytest.raises(ConfigError) as caught:
        wasserstein(
            x0, x0, cost="manhattan", p=0.5, method="fast", regularisation=0, max_iterations=0, tolerance=float("nan")
        )
    keys = [problem.key for problem in caught.value.problems]
    assert keys == ["cost", "p", "method", "regularisation", "max_iterations", "tolerance"]
    with pytest.raises(ConfigError, match=r"p: must be a finite number of at least 1, got 'two'"):
        wasserstein(x0, x0, p="two")


def test_no_deep_learning_framework_is_loaded_and_the_environment_is_as_before(tmp_path):
    (tmp_path / "geomloss.py").write_text("import torch\n")  # POT imports it where it is installed
    program = (
        "import os, sys; before = dict(os.environ)\n"
        "from inscl.transport import wasserstein\n"
        "assert 'ot' not in sys.modules\n"
        "assert wasserstein([[1., 0.]], [[0., 1.]]).distance == 1\n"
        "assert wasserstein([[1., 0.]], [[0., 1.]], method='entropic').converged\n"
        "assert 'ot' in sys.modules and dict(os.environ) == before and 'geomloss' not in sys.modules\n"
        "loaded = {'torch', 'jax', 'tensorflow', 'cupy', 'transformers'} & set(sys.modules)\n"
        "assert not loaded, loaded\n"
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith("POT_")}
    environment["PYTHONPATH"] = str(tmp_path)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
