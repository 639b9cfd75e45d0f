"""Clusters of a growing set against scikit-learn's DBSCAN over all of it at once."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.cluster import DBSCAN

from inscl.errors import ModelError
from inscl.tagging.clusters import TagClusters


class Embedder:
    """Vectors around a few directions, one of them without any; counts what it was asked for."""

    def __init__(self, seed: int, spread: float) -> None:
        self.seed, self.spread, self.asked = seed, spread, 0

    def __call__(self, tags: list[str]) -> np.ndarray:
        self.asked += len(tags)
        return np.array([self.vector(tag) for tag in tags], dtype=np.float32)

    def vector(self, tag: str) -> np.ndarray:
        rng = np.random.default_rng([self.seed, *tag.encode()])
        if tag.endswith("0"):
            return np.zeros(8)
        around = np.random.default_rng([self.seed, int(tag) % 7]).normal(size=8)
        return (around + self.spread * rng.normal(size=8)) * rng.uniform(0.1, 10)


def by_scikit_learn(vectors: np.ndarray, eps: float, min_samples: int) -> list[int]:
    vectors = vectors.astype(np.float64)
    labels = np.full(len(vectors), -1)
    usable = vectors.any(axis=1)
    if usable.any():
        labels[usable] = DBSCAN(eps=eps, min_samples=min_samples, metric="cosine").fit_predict(vectors[usable])
    return labels.tolist()


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from([0.1, 0.3, 0.6]),
    st.sampled_from([0.02, 0.1, 0.3]),
    st.integers(1, 6),
    st.lists(st.integers(0, 60), max_size=4),
)
def test_the_same_as_all_at_once_whatever_came_when(
    seed: int, spread: float, eps: float, min_samples: int, cuts: list[int]
) -> None:
    order = [str(k) for k in np.random.default_rng(seed).permutation(60)]
    embedder = Embedder(seed, spread)
    growing = TagClusters(embedder, eps, min_samples)
    for upto in [*sorted(cuts), 60]:
        tags = sorted(order[:upto])
        found = growing(tags)
        if tags:
            assert found == by_scikit_learn(Embedder(seed, spread)(tags), eps, min_samples)
    assert embedder.asked == 60
    # Tags that are gone again, with the tasks that had them, are no neighbours any more.
    assert growing(order[:25]) == by_scikit_learn(Embedder(seed, spread)(order[:25]), eps, min_samples)


def test_what_is_compared_at_once_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    tags = [str(k) for k in range(60)]
    whole = TagClusters(Embedder(1, 0.3), 0.1, 3)(tags)
    monkeypatch.setattr("inscl.tagging.clusters._AT_ONCE", 7)
    assert TagClusters(Embedder(1, 0.3), 0.1, 3)(tags) == whole
    assert max(whole) > 0


def test_vectors_that_cannot_be_used() -> None:
    with pytest.raises(ModelError, match="not a number"):
        TagClusters(lambda tags: np.full((len(tags), 3), np.nan), 0.1, 2)(["a"])
    lengths = iter((3, 4))
    growing = TagClusters(lambda tags: np.ones((len(tags), next(lengths))), 0.1, 2)
    growing(["a"])
    with pytest.raises(ModelError, match="vectors of 4 numbers, before of 3"):
        growing(["a", "b"])
