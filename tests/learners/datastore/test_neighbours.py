from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from inscl.learners.datastore.neighbours import AUTO, Neighbours

RNG = np.random.default_rng(0)
KEYS = RNG.normal(size=(40, 12)).astype(np.float32)
QUESTIONS = RNG.normal(size=(7, 12)).astype(np.float32)


def plainly(
    keys: NDArray[np.float32], question: NDArray[np.float32], k: int, heads: int, temperature: float | str
) -> dict[int, float]:
    """Total weight of each key, by sorting all distances."""
    found: dict[int, float] = {}
    width = len(question) // heads
    for head in range(heads):
        part = slice(head * width, (head + 1) * width)
        distances = [float(((key[part].astype(float) - question[part]) ** 2).sum()) for key in keys]
        near = sorted(range(len(keys)), key=lambda place: distances[place])[:k]
        scaled = [heads * distances[place] for place in near]
        scale = float(np.median([one - scaled[0] for one in scaled])) if temperature == AUTO else float(temperature)
        shares = [np.exp(-(one - scaled[0]) / scale) for one in scaled]
        for place, share in zip(near, shares, strict=True):
            found[place] = found.get(place, 0.0) + share / sum(shares) / heads
    return found


@pytest.mark.parametrize("temperature", [0.5, 30, AUTO])
@pytest.mark.parametrize(("k", "heads"), [(3, 1), (5, 3), (2, 12), (100, 2)])
def test_they_are_those_of_a_plain_search(k: int, heads: int, temperature: float | str) -> None:
    places, weights = Neighbours(KEYS, k, heads, temperature)(QUESTIONS)
    assert places.shape == weights.shape == (7, heads * min(k, 40))
    assert weights.sum(axis=1) == pytest.approx(np.ones(7))
    for question, row, shares in zip(QUESTIONS, places, weights, strict=True):
        expected = plainly(KEYS, question, k, heads, temperature)
        found = {place: shares[row == place].sum() for place in set(row.tolist())}
        assert found == pytest.approx(expected, rel=1e-4)


def test_auto_does_not_depend_on_the_scale_of_states() -> None:
    small, large = Neighbours(KEYS, 5, 2, AUTO)(QUESTIONS), Neighbours(64 * KEYS, 5, 2, AUTO)(64 * QUESTIONS)
    assert np.array_equal(small[0], large[0])
    assert small[1] == pytest.approx(large[1], rel=1e-5)


def test_a_key_that_was_seen_counts_most_and_far_ones_break_nothing() -> None:
    places, weights = Neighbours(KEYS, 4, 1, 1e-3)(KEYS[:5] + 1000)
    assert np.isfinite(weights).all()
    places, weights = Neighbours(KEYS, 4, 1, AUTO)(KEYS[:5])
    assert places[np.arange(5), weights.argmax(axis=1)].tolist() == [0, 1, 2, 3, 4]


def test_equal_keys_count_the_same() -> None:
    same = np.ones((6, 4), dtype=np.float32)
    _, weights = Neighbours(same, 3, 1, AUTO)(same[:1])
    assert weights == pytest.approx(np.full((1, 3), 1 / 3))
    _, weights = Neighbours(same[:1], 3, 2, AUTO)(same[:1] + 1)
    assert weights == pytest.approx(np.full((1, 2), 1 / 2))


def test_slices_may_differ_by_one_in_length() -> None:
    places, weights = Neighbours(KEYS, 1, 5, AUTO)(QUESTIONS)
    parts = np.split(np.arange(12), [3, 6, 8, 10])
    expected = [[int(((KEYS[:, part] - one[part]) ** 2).sum(axis=1).argmin()) for part in parts] for one in QUESTIONS]
    assert places.tolist() == expected
    assert weights == pytest.approx(np.full((7, 5), 1 / 5))


def test_where_most_neighbours_are_as_near_as_the_nearest_the_others_count_nothing() -> None:
    keys = np.array([[0, 0], [0, 0], [0, 0], [5, 0], [9, 9]], dtype=np.float32)
    places, weights = Neighbours(keys, 5, 1, AUTO)(np.zeros((1, 2), dtype=np.float32))
    found = dict(zip(places[0].tolist(), weights[0].tolist(), strict=True))
    assert found == pytest.approx({0: 1 / 3, 1: 1 / 3, 2: 1 / 3, 3: 0, 4: 0})
