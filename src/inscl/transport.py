"""Optimal transport between two weighted sets of vectors. The only module that imports POT."""

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

__all__ = ["Cost", "TransportResult", "TransportWarning", "wasserstein"]

Vectors = NDArray[np.float64]
Cost = Callable[[Vectors, Vectors], ArrayLike]
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
    x, y = _vectors(x, "x"), _vectors(y, "y")
    if x.shape[1] != y.shape[1]:
        raise DataError(f"x has vectors of {x.shape[1]} numbers and y of {y.shape[1]}: embed both in the same way")
    a, b = _masses(x_weights, len(x), "x_weights"), _masses(y_weights, len(y), "y_weights")
    costs = _costs(x, y, cost)
    # With the largest cost at 1 no power over- or underflows, and `regularisation` means the same for every cost.
    scale = float(costs.max()) or 1.0
    powers = (costs / scale) ** p
    solve: Solver
    if method == "exact":
        solve = partial(_exact, limit=max_iterations or 1_000_000)
    else:
        limit = max_iterations or 10_000
        solve = partial(_entropic, regularisation=regularisation, limit=limit, tolerance=tolerance)
    plan, failure = _solved_where_mass_is(solve, a, b, powers)
    distance = scale * float((plan * powers).sum()) ** (1 / p)
    if failure is None:
        return TransportResult(distance, plan, "optimal" if method == "exact" else "converged", True)
    warnings.warn(f"the transport distance is not right: {failure}", TransportWarning, stacklevel=2)
    return TransportResult(distance, plan, f"not converged: {failure}", False)


def _solved_where_mass_is(solve: Solver, a: Vectors, b: Vectors, powers: Vectors) -> tuple[Vectors, str | None]:
    """The plan for all rows, shape (n, m), from those with a positive mass; and why it isn't right, None if it is."""
    rows, columns = np.flatnonzero(a), np.flatnonzero(b)
    moved, failure = solve(a[rows], b[columns], np.ascontiguousarray(powers[np.ix_(rows, columns)]))
    plan = np.zeros_like(powers)
    plan[np.ix_(rows, columns)] = moved
    return plan, failure


def _exact(a: Vectors, b: Vectors, powers: Vectors, limit: int) -> tuple[Vectors, str | None]:
    ot = _import_pot()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # POT's own warning; ours says the same and reaches the result as well
        plan, log = ot.emd(a, b, powers, numItermax=limit, log=True)
    plan = np.where(plan > _ROUNDING, plan, 0.0)
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


def _costs(x: Vectors, y: Vectors, cost: str | Cost) -> Vectors:
    from scipy.spatial.distance import cdist

    if cost == "cosine":
        # 1 - cos as half the squared chord: never negative, exactly 0 between equal rows, exact between near ones.
        costs = np.asarray(cdist(_directions(x, "x"), _directions(y, "y"), "sqeuclidean") / 2, dtype=np.float64)
    elif cost == "euclidean":
        costs = np.asarray(cdist(x, y, "euclidean"), dtype=np.float64)
    else:
        assert callable(cost)
        costs = np.asarray(cost(x, y), dtype=np.float64)
        if costs.shape != (len(x), len(y)):
            raise DataError(f"the cost function gave shape {costs.shape}, expected {(len(x), len(y))}")
    if not np.isfinite(costs).all() or costs.min() < 0:
        raise DataError("a transport cost is negative, infinite or NaN; costs must be finite and not negative")
    return costs


def _directions(vectors: Vectors, name: str) -> Vectors:
    largest = np.abs(vectors).max(axis=1, keepdims=True)  # divided out first, so that no square over- or underflows
    zero = np.flatnonzero(largest[:, 0] == 0)
    if zero.size:
        raise DataError(f"{name}[{zero[0]}] is the zero vector, which has no direction; the cosine cost needs one")
    scaled = vectors / largest
    directions: Vectors = scaled / np.linalg.norm(scaled, axis=1, keepdims=True)
    return directions


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
