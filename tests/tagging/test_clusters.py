"""Clusters of a growing set against scikit-learn's DBSCAN over all of it at once."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.cluster import DBSCAN

from inscl.errors import ModelError
from inscl.tagging import clusters
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


class Directions:
    """Synonyms around directions that lie in a few dimensions, but for noise; their embedder has a name."""

    fingerprint = "made"

    def __init__(self, spread: float, shift: float = 0) -> None:
        rng = np.random.default_rng(5)
        groups = rng.normal(size=(120, 32)) * np.geomspace(1, 0.05, 32) + shift
        self.rows = np.repeat(groups, 5, axis=0) + spread * rng.normal(size=(600, 32))
        self.asked: list[str] = []

    def __call__(self, tags: list[str]) -> np.ndarray:
        self.asked += tags
        return self.rows[[int(tag) for tag in tags]]


@pytest.mark.parametrize(("spread", "shift", "shorter"), [(0.05, 0, True), (0.5, 0, True), (0.05, 9, False)])
def test_shorter_rows_miss_no_neighbour(
    spread: float, shift: float, shorter: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("inscl.tagging.clusters._MANY", 0)
    monkeypatch.setattr("inscl.tagging.clusters._OPEN", 100)
    widths = []
    made = clusters._sketches

    def watched(*given: Any) -> np.ndarray:
        widths.append((found := made(*given)).shape[1])
        return found

    monkeypatch.setattr(clusters, "_sketches", watched)
    embedder, tags = Directions(spread, shift), [str(k) for k in range(600)]
    growing = TagClusters(embedder, 0.1, 3)
    growing(tags[:400])
    assert growing(tags) == by_scikit_learn(embedder.rows.astype(np.float32), 0.1, 3)
    assert [width < 32 for width in widths] == [shorter, shorter]


def test_another_process_goes_on_from_what_is_known() -> None:
    tags = [str(k) for k in range(600)]
    first = TagClusters(Directions(0.05), 0.1, 3)
    first(tags[:400])
    embedder = Directions(0.05)
    second = TagClusters(embedder, 0.1, 3)
    second.know(first.neighbours(tags[:400]))
    assert second(tags) == first(tags)
    assert embedder.asked == tags[400:]
    # What was found within another distance, or by another embedder, is none of its business.
    for other in (TagClusters(Directions(0.05), 0.2, 3), TagClusters(lambda tags: embedder(tags), 0.1, 3)):
        other.know(first.neighbours(tags))
        embedder.asked.clear()
        assert not len(other._numbers)
    assert TagClusters(lambda tags: embedder(tags), 0.1, 3).neighbours([]) is None
    # Tags that are gone are not passed on.
    some = first.neighbours(tags[200:300])
    assert some is not None
    assert some.tags == tuple(tags[200:300])
    third = TagClusters(Directions(0.05), 0.1, 3)
    third.know(some)
    assert third(tags[:250]) == TagClusters(Directions(0.05), 0.1, 3)(tags[:250])


def test_vectors_that_cannot_be_used() -> None:
    with pytest.raises(ModelError, match="not a number"):
        TagClusters(lambda tags: np.full((len(tags), 3), np.nan), 0.1, 2)(["a"])
    lengths = iter((3, 4))
    growing = TagClusters(lambda tags: np.ones((len(tags), next(lengths))), 0.1, 2)
    growing(["a"])
    with pytest.raises(ModelError, match="vectors of 4 numbers, before of 3"):
        growing(["a", "b"])
