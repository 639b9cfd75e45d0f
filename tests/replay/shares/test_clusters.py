"""Clusters against plain computations on points whose division is plain to see."""

from __future__ import annotations

import numpy as np
import pytest

from inscl.replay.shares.clusters import Clusters, best_clusters, k_means


def blobs(sizes: tuple[int, ...], seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Points close round far corners, shuffled, and which corner each belongs to."""
    rng = np.random.default_rng(seed)
    owner = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
    return 10 * np.eye(len(sizes))[owner] + rng.normal(0, 0.3, (sum(sizes), len(sizes))), owner


def silhouette(x: np.ndarray, labels: np.ndarray) -> float:
    values = []
    for i in range(len(x)):
        gaps = np.sqrt(((x - x[i]) ** 2).sum(axis=1))
        own = (labels == labels[i]) & (np.arange(len(x)) != i)
        if not own.any():
            values.append(0.0)
            continue
        a = gaps[own].mean()
        b = min(gaps[labels == other].mean() for other in set(labels) - {labels[i]})
        values.append((b - a) / max(a, b))
    return float(np.mean(values))


def test_finds_the_blobs_and_the_member_nearest_each_centre() -> None:
    x, owner = blobs((9, 4, 6, 1))
    clusters = k_means(x, 4, np.random.default_rng(1), 3)
    found = clusters.prototypes()
    # Largest cluster first, and in each the best cosine with the blob's own mean.
    expected = []
    for blob in (0, 2, 1, 3):
        members = [i for i in range(len(x)) if owner[i] == blob]
        mean = x[members].mean(axis=0)
        expected.append(max(members, key=lambda i: x[i] @ mean / np.linalg.norm(x[i])))
    assert found == expected


def test_nearest_by_cosine_not_by_distance() -> None:
    x = np.array([[1.0, 0.2], [8.0, 4.1], [3.0, 3.0]])
    centre = np.array([[4.0, 2.0]])
    assert np.argmin(((x - centre) ** 2).sum(axis=1)) == 2
    assert Clusters(x, np.zeros(3, np.int64), centre).prototypes() == [1]


def test_two_members_equally_near_give_the_first() -> None:
    x = np.array([[0.1, 0.7], [0.7, 0.1]])
    assert Clusters(x, np.zeros(2, np.int64), x.mean(axis=0, keepdims=True)).prototypes() == [0]


def test_fewer_distinct_vectors_than_clusters_leave_clusters_empty(recwarn: pytest.WarningsRecorder) -> None:
    x = np.repeat(np.eye(2), 3, axis=0)
    found = k_means(x, 4, np.random.default_rng(0), 2).prototypes()
    assert len(found) == 2
    assert {tuple(x[i]) for i in found} == {(1.0, 0.0), (0.0, 1.0)}
    assert not recwarn.list


def test_the_same_rng_gives_the_same_clusters_and_another_need_not() -> None:
    x = np.random.default_rng(0).normal(size=(300, 5))
    runs = [k_means(x, 12, np.random.default_rng(seed), 1).labels.tolist() for seed in (3, 3, 4)]
    assert runs[0] == runs[1] != runs[2]


@pytest.mark.parametrize("count", [2, 3, 5])
def test_the_best_silhouette_has_as_many_clusters_as_blobs(count: int) -> None:
    x, owner = blobs((6,) * count, seed=count)
    found = best_clusters(x, 12, np.random.default_rng(0), 3)
    assert found is not None
    clusters, score = found
    assert len(clusters.centres) == count
    assert {(a, b) for a, b in zip(owner, clusters.labels, strict=True)} == {
        (owner[i], clusters.labels[i]) for i in [int(np.flatnonzero(owner == blob)[0]) for blob in range(count)]
    }
    assert score == pytest.approx(silhouette(x, owner), abs=1e-8)


def test_no_k_above_the_most() -> None:
    x, _ = blobs((6, 6, 6, 6))
    found = best_clusters(x, 3, np.random.default_rng(0), 3)
    assert found is not None
    assert len(found[0].centres) <= 3


def test_no_silhouette_no_clusters() -> None:
    rng = np.random.default_rng(0)
    assert best_clusters(np.eye(2), 9, rng, 1) is None
    assert best_clusters(np.ones((8, 3)), 9, rng, 1) is None
    assert best_clusters(np.eye(4), 1, rng, 1) is None
