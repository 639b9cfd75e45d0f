"""Clusters of vectors by k-means, and the member nearest each centre."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inscl.replay.shares.vectors import cosines

__all__ = ["Clusters", "best_clusters", "k_means"]


@dataclass(frozen=True)
class Clusters:
    """A division of n vectors into at most k clusters.

    Attributes:
        vectors: Shape (n, d).
        labels: Cluster of each vector, shape (n,), 0..k-1. A cluster may be empty where vectors coincide.
        centres: Mean of each cluster, shape (k, d).
    """

    vectors: NDArray[np.float64]
    labels: NDArray[np.int64]
    centres: NDArray[np.float64]

    def prototypes(self) -> list[int]:
        """For every cluster that has members the one whose cosine with the centre is largest; ties: the first.

        Returns:
            Different row numbers, those of the largest clusters first; as many as there are clusters with members.
        """
        groups = [np.flatnonzero(self.labels == cluster) for cluster in range(len(self.centres))]
        found = []
        # Equal sizes in the order of their first rows: the numbers of the clusters are chance.
        for members in sorted((g for g in groups if len(g)), key=lambda g: (-len(g), int(g[0]))):
            cluster = self.labels[members[0]]
            nearness = cosines(self.vectors[members], self.centres[cluster : cluster + 1])[:, 0]
            found.append(int(members[np.argmax(nearness)]))
        return found


def k_means(vectors: NDArray[np.float64], k: int, rng: np.random.Generator, n_init: int) -> Clusters:
    """Lloyd's k-means from k-means++ starts, the best of `n_init` by inertia (scikit-learn's ``KMeans``).

    Args:
        vectors: Shape (n, d), n at least k.
        k: Clusters, at least 1.
        rng: Draws the seed of the starts.
        n_init: Starts, at least 1.
    """
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning
    from threadpoolctl import threadpool_limits

    means = KMeans(n_clusters=k, n_init=n_init, random_state=int(rng.integers(2**31)))
    # Threads add their sums up in the order in which they finish; with one, the same seed gives the same clusters.
    with warnings.catch_warnings(), threadpool_limits(limits=1):
        # Fewer distinct vectors than clusters: the callers deal with empty clusters.
        warnings.simplefilter("ignore", ConvergenceWarning)
        labels = means.fit_predict(vectors)
    return Clusters(vectors, labels.astype(np.int64), np.asarray(means.cluster_centers_, dtype=np.float64))


def best_clusters(
    vectors: NDArray[np.float64], most: int, rng: np.random.Generator, n_init: int
) -> tuple[Clusters, float] | None:
    r"""The k-means division with the best mean silhouette, k from 2 to `most`.

    The silhouette of a vector is :math:`(b - a) / \max(a, b)`, a its mean distance to its own cluster, b that to the
    nearest other one (Rousseeuw 1987; Euclidean, as k-means is). It needs 2 to n - 1 clusters with members; equal
    means go to the smaller k.

    Args:
        vectors: Shape (n, d).
        most: Largest k that is tried.
        rng: Draws the seeds of the starts.
        n_init: Starts of each k-means.

    Returns:
        The clusters and their silhouette in [-1, 1]; None where no k has one: fewer than three vectors, all alike, or
        `most` below 2.
    """
    from sklearn.metrics import silhouette_score

    best: tuple[Clusters, float] | None = None
    for k in range(2, min(most, len(vectors) - 1) + 1):
        clusters = k_means(vectors, k, rng, n_init)
        if len(np.unique(clusters.labels)) < 2:
            continue
        score = round(float(silhouette_score(vectors, clusters.labels)), 9)
        if best is None or score > best[1]:
            best = (clusters, score)
    return best
