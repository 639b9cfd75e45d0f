"""Optimal transport between two weighted sets of vectors."""

from __future__ import annotations

import math
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from numbers import Real
from typing import Any, Literal, TypeGuard

import numpy as np
from numpy.typing import ArrayLike, NDArray

from inscl.errors import ConfigError, DataError, Problem
from inscl.transport.costs import Cost, cost_matrix, points_of

__all__ = [
    "TransportResult",
    "TransportWarning",
    "WeightedPoints",
    "quiet",
    "same_width",
    "solve",
    "wasserstein",
    "weighted_points",
]

Vectors = NDArray[np.float64]
Solver = Callable[[Vectors, Vectors, Vectors], tuple[Vectors, str | None]]

# A flow this small is the rounding error of a simplex on masses that sum to one, not transport. Left in, it would give
# a set a distance to itself: 1e-17 of mass moved is 3e-9 of distance at p = 2.
_ROUNDING = 1e-15
_BACKENDS = {"torch": "PYTORCH", "jax": "JAX", "cupy": "CUPY", "tensorflow": "TENSORFLOW"}


class TransportWarning(UserWarning):
    """The solver stopped before it was done: the distance that comes with this warning is not the right one."""


@dataclass(frozen=True)
class TransportResult:
    """A distance and how it comes about.

    Attributes:
        distance: W, in units of the cost.
        plan: Mass moved from row i of x to row j of y, shape (n, m), not negative; its row sums are the normalised
            weights of x, its column sums those of y.
        status: ``"optimal"`` (exact), ``"converged"`` (entropic), or ``"not converged: ..."`` with the reason.
        converged: Whether `distance` can be relied on.
    """

    distance: float
    plan: Vectors
    status: str
    converged: bool

    def warn(self, stacklevel: int = 2) -> None:
        """Say that the distance is not right, as a `TransportWarning`."""
        failure = self.status.removeprefix("not converged: ")
        warnings.warn(f"the transport distance is not right: {failure}", TransportWarning, stacklevel=stacklevel)


def wasserstein(
    x: ArrayLike,
    y: ArrayLike,
    x_weights: ArrayLike | None = None,
    y_weights: ArrayLike | None = None,
    *,
    cost: Literal["cosine", "euclidean"] | Cost = "cosine",
    p: float = 1,
    method: Literal["exact", "entropic"] = "exact",
    regularisation: float = 0.01,
    max_iterations: int | None = None,
    tolerance: float = 1e-9,
) -> TransportResult:
    r"""The p-Wasserstein distance between two weighted sets of vectors.

    .. math:: W_p(x, y) = \Big( \min_{P \ge 0} \sum_{ij} P_{ij}\, c(x_i, y_j)^p \Big)^{1/p}
              \quad\text{with}\quad P \mathbf 1 = a,\ P^\top \mathbf 1 = b

    InsCL (Wang et al., NAACL 2024 long 37, section 3.2) takes the cosine cost, p = 1, and for a and b the frequencies
    of a task's distinct instructions. Rows that are equal count as one whose weights are added: the distance is the
    same whether duplicates are merged or not.

    W is symmetric, and zero between a set and itself (exactly so with ``method="exact"``). With the Euclidean cost it
    is a metric for every p. The cosine cost :math:`1 - \cos` is half a squared chord and no metric itself, so its W
    keeps to no triangle inequality; the square root of that W does, being :math:`W_{2p}` of :math:`\sqrt{1 - \cos}`.

    Args:
        x: Shape (n, d), n ≥ 1, finite.
        y: Shape (m, d), m ≥ 1, finite.
        x_weights: Shape (n,), not negative, finite, with a positive sum; normalised here, so counts will do. None
            weights all rows alike.
        y_weights: Shape (m,), likewise.
        cost: ``"cosine"``, ``"euclidean"``, or a callable that gives the (n, m) costs, finite and not negative.
        p: Order, at least 1.
        method: ``"exact"`` (network simplex), or ``"entropic"`` (Sinkhorn in the log domain), whose plan is smoothed:
            its distance lies above the exact one, also between a set and itself, and nears it as `regularisation`
            goes to 0.
        regularisation: Weight of the entropy, as a share of the largest ``cost ** p``. Entropic only.
        max_iterations: When to give up; None means 1,000,000 simplex pivots or 10,000 Sinkhorn rounds.
        tolerance: Largest error of the plan's column sums (Euclidean norm) that counts as converged. Entropic only.

    Returns:
        Distance, plan and status.

    Raises:
        DataError: Vectors, weights or costs that can't be used; says which and, where it can, which row.
        ConfigError: `cost`, `p`, `method` or a number of the solver is out of range.

    Warns:
        TransportWarning: The solver stopped before it was done. The result says so too.
    """
    _check_settings(cost, p, method, regularisation, max_iterations, tolerance)
    one, other = weighted_points(x, x_weights, cost, "x"), weighted_points(y, y_weights, cost, "y")
    same_width(one, other)
    solver: Solver
    if method == "exact":
        solver = partial(_exact, limit=max_iterations or 1_000_000)
    else:
        limit = max_iterations or 10_000
        solver = partial(_entropic, regularisation=regularisation, limit=limit, tolerance=tolerance)
    with quiet():
        result = solve(one, other, cost, p, solver)
    if not result.converged:
        result.warn(stacklevel=3)
    return result


@dataclass(frozen=True, eq=False)
class WeightedPoints:
    """A weighted set as the solver takes it.

    Attributes:
        points: What the cost looks at (`inscl.transport.costs.points_of`), shape (n, d).
        masses: Shape (n,), not negative, with the sum 1.
    """

    points: Vectors
    masses: Vectors


def weighted_points(vectors: ArrayLike, weights: ArrayLike | None, cost: str | Cost, name: str) -> WeightedPoints:
    """A checked set; see `wasserstein` for vectors and weights.

    Args:
        vectors: Shape (n, d).
        weights: Shape (n,), or None.
        cost: Name or function.
        name: Of the vectors, for messages.

    Raises:
        DataError: They can't be used.
    """
    found = _vectors(vectors, name)
    masses = _masses(weights, len(found), f"{name}_weights")
    return WeightedPoints(points_of(found, cost, name), masses)


def same_width(x: WeightedPoints, y: WeightedPoints) -> None:
    """Refuse sets whose vectors differ in length."""
    one, other = x.points.shape[1], y.points.shape[1]
    if one != other:
        raise DataError(f"x has vectors of {one} numbers and y of {other}: embed both in the same way")


def solve(
    x: WeightedPoints,
    y: WeightedPoints,
    cost: str | Cost,
    p: float,
    solver: Solver | None = None,
    few: int | None = None,
) -> TransportResult:
    """The distance between two checked sets; several threads may be in here at once, inside one `quiet`.

    Args:
        x: One set.
        y: The other, of the same width.
        cost: Name or function.
        p: Order.
        solver: What makes the plan; None is the network simplex.
        few: As for `inscl.transport.costs.cost_matrix`; None is its default.
    """
    powers = cost_matrix(x.points, y.points, cost, **({} if few is None else {"few": few}))
    # With the largest cost at 1 no power over- or underflows, and `regularisation` means the same for every cost.
    scale = float(powers.max()) or 1.0
    powers /= scale
    if p != 1:
        powers **= p
    plan, failure = _solved_where_mass_is(solver or partial(_exact, limit=1_000_000), x.masses, y.masses, powers)
    distance = scale * float((plan * powers).sum()) ** (1 / p)
    if failure is not None:
        return TransportResult(distance, plan, f"not converged: {failure}", False)
    entropic = isinstance(solver, partial) and solver.func is _entropic
    return TransportResult(distance, plan, "converged" if entropic else "optimal", True)


def _solved_where_mass_is(solve: Solver, a: Vectors, b: Vectors, powers: Vectors) -> tuple[Vectors, str | None]:
    """The plan for all rows, shape (n, m), from those with a positive mass; and why it isn't right, None if it is."""
    if a.all() and b.all():
        return solve(a, b, powers)
    rows, columns = np.flatnonzero(a), np.flatnonzero(b)
    moved, failure = solve(a[rows], b[columns], np.ascontiguousarray(powers[np.ix_(rows, columns)]))
    plan = np.zeros_like(powers)
    plan[np.ix_(rows, columns)] = moved
    return plan, failure


def _exact(a: Vectors, b: Vectors, powers: Vectors, limit: int) -> tuple[Vectors, str | None]:
    ot = _import_pot()
    plan, log = ot.emd(a, b, powers, numItermax=limit, log=True)
    plan[plan <= _ROUNDING] = 0.0
    if log["result_code"] == 1:  # POT: 0 infeasible, 1 optimal, 2 unbounded, 3 out of iterations
        return plan, None
    reason = log["warning"] or f"solver code {log['result_code']}"
    return plan, f"the network simplex stopped within {limit:,} pivots ({reason}); raise max_iterations"


def _entropic(
    a: Vectors, b: Vectors, powers: Vectors, regularisation: float, limit: int, tolerance: float
) -> tuple[Vectors, str | None]:
    ot = _import_pot()
    plan, log = ot.bregman.sinkhorn_log(
        a, b, powers, regularisation, numItermax=limit, stopThr=tolerance, log=True, warn=False
    )
    error = float(np.linalg.norm(plan.sum(axis=0) - b))
    if error < tolerance or float(log["err"][-1]) < tolerance:
        return plan, None
    return plan, (
        f"after {limit:,} Sinkhorn rounds the plan misses its marginals by {error:.1e} (tolerance {tolerance:.1e}); "
        "raise max_iterations or regularisation"
    )


def _vectors(values: ArrayLike, name: str) -> Vectors:
    try:
        vectors = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f"{name} is not an array of numbers ({error})") from error
    if vectors.ndim != 2 or 0 in vectors.shape:
        raise DataError(f"{name} has shape {vectors.shape}; expected (n, d), one vector a row, at least one of each")
    bad = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
    if bad.size:
        raise DataError(f"{name}[{bad[0]}] holds NaN or an infinity; every number must be finite")
    return vectors


def _masses(weights: ArrayLike | None, count: int, name: str) -> Vectors:
    if weights is None:
        return np.full(count, 1 / count)
    try:
        masses = np.asarray(weights, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f"{name} is not an array of numbers ({error})") from error
    if masses.shape != (count,):
        raise DataError(f"{name} has shape {masses.shape}; expected ({count},), one weight a vector")
    bad = np.flatnonzero(~(np.isfinite(masses) & (masses >= 0)))
    if bad.size:
        raise DataError(f"{name}[{bad[0]}] is {masses[bad[0]]}; weights must be finite and not negative")
    if not masses.any():
        raise DataError(f"{name} are all zero; at least one must be positive")
    masses = masses / masses.max()
    # fsum rounds once, whatever the order: the same weights in another order are normalised to the same bits.
    normalised: Vectors = masses / math.fsum(masses)
    return normalised


def _check_settings(
    cost: object, p: object, method: object, regularisation: object, max_iterations: object, tolerance: object
) -> None:
    named = isinstance(cost, str) and cost in ("cosine", "euclidean")
    counted = max_iterations is None or (isinstance(max_iterations, (int, np.integer)) and max_iterations >= 1)
    checks = (
        ("cost", named or callable(cost), "'cosine', 'euclidean' or a function", cost),
        ("p", _finite(p) and p >= 1, "a finite number of at least 1", p),
        ("method", method in ("exact", "entropic"), "'exact' or 'entropic'", method),
        ("regularisation", _finite(regularisation) and regularisation > 0, "a finite number above 0", regularisation),
        ("max_iterations", counted, "a whole number of at least 1", max_iterations),
        ("tolerance", _finite(tolerance) and tolerance > 0, "a finite number above 0", tolerance),
    )
    problems = [Problem(key, f"must be {rule}, got {value!r}") for key, fine, rule, value in checks if not fine]
    if problems:
        raise ConfigError(problems, "wasserstein")


def _finite(value: object) -> TypeGuard[float]:
    return isinstance(value, Real) and math.isfinite(value)


def _import_pot() -> Any:
    with _without_backends():
        import ot
    return ot


@contextmanager
def quiet() -> Iterator[None]:
    """Keep POT's own warnings from showing; ours say the same, and the result does as well.

    Python's filters are those of the whole process, so that this surrounds all threads that solve, and none is inside
    one of them.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"ot\.")
        # k-means where fewer clusters than asked for hold all there is: the summary is then the smaller.
        warnings.filterwarnings("ignore", message="Number of distinct clusters")
        yield


@contextmanager
def _without_backends() -> Iterator[None]:
    """Keep POT from importing torch, jax, ... on its first import: seconds that NumPy arrays don't need."""
    if "ot" in sys.modules:
        yield
        return
    absent = [f"POT_BACKEND_DISABLE_{key}" for module, key in _BACKENDS.items() if module not in sys.modules]
    ours = [variable for variable in absent if variable not in os.environ]
    os.environ.update(dict.fromkeys(ours, "1"))
    # geomloss, which POT tries as well, imports torch. None in sys.modules is Python's way to say "not installed".
    hidden = "geomloss" not in sys.modules
    if hidden:
        sys.modules["geomloss"] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        for variable in ours:
            del os.environ[variable]
        if hidden:
            del sys.modules["geomloss"]
