from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from inscl.contract import Example
from inscl.learners.demonstrations.diverse import diverse
from inscl.learners.demonstrations.pool import Pool

VECTORS = np.random.default_rng(1).normal(size=(15, 4)).astype(np.float32)
EXAMPLES = [Example(str(k), "", ("y",)) for k in range(15)]


def embed(texts: Sequence[str]) -> NDArray[np.float32]:
    return VECTORS[[int(text) for text in texts]]


def distance(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    return 1 - float(one @ other) / float(np.linalg.norm(one) * np.linalg.norm(other))


def pool(count: int, chosen: Sequence[Example] = ()) -> Pool:
    candidates = [one for one in EXAMPLES if one not in chosen]
    return Pool(candidates, chosen, count, np.random.default_rng(0), embed)


def test_each_is_the_farthest_from_those_before() -> None:
    found = diverse(pool(6))
    mean = VECTORS.mean(axis=0)
    assert found[0] == min(range(15), key=lambda k: distance(VECTORS[k], mean))
    for count in range(1, 6):
        nearness = [min(distance(VECTORS[k], VECTORS[one]) for one in found[:count]) for k in range(15)]
        assert nearness[found[count]] == pytest.approx(max(nearness), abs=1e-5)
    assert diverse(pool(3)) == found[:3]


def test_it_keeps_away_from_what_was_chosen_before() -> None:
    (found,) = diverse(pool(1, EXAMPLES[:2]))
    nearness = [min(distance(VECTORS[k], VECTORS[one]) for one in (0, 1)) for k in range(2, 15)]
    assert found == int(np.argmax(nearness))


def test_equal_vectors_and_nothing_wanted() -> None:
    same = Pool(EXAMPLES[:3], (), 3, np.random.default_rng(0), lambda texts: np.ones((len(texts), 2), dtype=np.float32))
    assert diverse(same) == [0, 1, 2]
    assert diverse(pool(0)) == []
