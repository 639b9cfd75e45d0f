"""Many distances at once against one at a time."""

import warnings

import numpy as np
import pytest

from inscl.errors import DataError
from inscl.transport import TransportWarning, distances, wasserstein
from inscl.transport import distance as module
from inscl.transport.distances import on_all_cores


def sets(count: int, size: int = 40) -> list[tuple[np.ndarray, np.ndarray]]:
    rng = np.random.default_rng(count)
    return [(rng.normal(size=(size + k, 12)), rng.integers(1, 9, size + k).astype(float)) for k in range(count)]


@pytest.mark.parametrize("size", [40, 80])  # of 80, costs come from a product
@pytest.mark.parametrize("entries", [None, 100])
@pytest.mark.parametrize(("cost", "p", "method"), [("cosine", 1, "exact"), ("euclidean", 2, "exact")])
def test_the_same_as_one_at_a_time(entries: int | None, size: int, cost: str, p: float, method: str) -> None:
    *earlier, new = sets(7, size)
    found = distances(6, earlier.__getitem__, new, cost=cost, p=p, method=method, entries=entries)
    one_by_one = [wasserstein(x, new[0], a, new[1], cost=cost, p=p, method=method).distance for x, a in earlier]
    np.testing.assert_allclose(found, one_by_one, rtol=1e-12)


def test_no_sets_have_no_distances() -> None:
    assert distances(0, sets(1).__getitem__, sets(1)[0]).shape == (0,)


@pytest.mark.parametrize("entries", [None, 100])
def test_a_set_that_cannot_be_used_is_refused(entries: int | None) -> None:
    *earlier, new = sets(4)
    earlier[1] = (earlier[1][0][:, :5], earlier[1][1])
    with pytest.raises(DataError, match="vectors of 5 numbers and y of 12"):
        distances(3, earlier.__getitem__, new, entries=entries)


def test_a_solver_that_gives_up_is_told_from_threads_too(monkeypatch: pytest.MonkeyPatch) -> None:
    original = module._exact
    monkeypatch.setattr(module, "_exact", lambda a, b, powers, limit: original(a, b, powers, 2))
    *earlier, new = sets(4)
    before = list(warnings.filters)
    with pytest.warns(TransportWarning, match="not right: the network simplex stopped") as caught:
        distances(3, earlier.__getitem__, new)
    assert [warning.category for warning in caught] == [TransportWarning] * 3
    assert warnings.filters == before


def test_results_come_in_order_and_errors_pass() -> None:
    assert on_all_cores(lambda k: k * k, range(20)) == [k * k for k in range(20)]
    with pytest.raises(ZeroDivisionError):
        on_all_cores(lambda k: 1 // k, range(3))
