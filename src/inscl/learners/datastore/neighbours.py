"""The nearest keys and what each counts, in one or several slices of the states."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["AUTO", "Neighbours"]

AUTO = "auto"


class Neighbours:
    r"""Search for the k nearest of n keys in each of H slices, by the squared Euclidean distance.

    .. math:: w_{hi} = \frac{1}{H} \frac{e^{-H d_{hi} / T}}{\sum_{j \in N_h} e^{-H d_{hj} / T}}

    with :math:`d_{hi}` the distance between the slices h of question and key i, and :math:`N_h` the k keys nearest in
    that slice. Slices, squared distances and the factor H are those of the paper's code (ReferenceTrustableDecoding,
    arXiv 2409.20181). The temperature ``auto`` is a reconstruction: the scale of hidden states differs from model to
    model, so T is for each question and slice the median, over its neighbours, of H times the distance beyond the
    nearest one's; where that is 0, only the nearest count, all the same.

    The search is scikit-learn's: exact, so that no neighbour is ever missed, and with no index to train or to keep.

    Args:
        keys: Shape (n, d), n >= 1.
        k: Neighbours in a slice; all keys where there are fewer.
        heads: H, at most d; where d isn't a multiple of it, the first slices are longer by one.
        temperature: T, more than 0, or ``auto``.
    """

    def __init__(self, keys: NDArray[np.float32], k: int, heads: int, temperature: float | str) -> None:
        from sklearn.neighbors import NearestNeighbors

        self.k, self.temperature = min(k, len(keys)), temperature
        self._bounds = np.cumsum([len(part) for part in np.array_split(np.arange(keys.shape[1]), heads)])[:-1]
        self._slices: list[Any] = [
            NearestNeighbors(n_neighbors=self.k, algorithm="brute", metric="sqeuclidean").fit(
                np.ascontiguousarray(part)
            )
            for part in np.split(keys, self._bounds, axis=1)
        ]

    def __call__(self, questions: NDArray[np.float32]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Neighbours of m questions.

        Args:
            questions: Shape (m, d), m >= 1.

        Returns:
            Places in the keys and their weights, both of shape (m, H * k). A row's weights sum to 1; a place may stand
            in it once for each slice.
        """
        heads = len(self._slices)
        places, weights = [], []
        for search, part in zip(self._slices, self._split(questions), strict=True):
            distances, nearest = search.kneighbors(part)
            beyond = heads * (distances - distances.min(axis=1, keepdims=True)).astype(np.float64)
            scaled = np.exp(-self._over_temperature(beyond))
            places.append(nearest.astype(np.int64))
            weights.append(scaled / scaled.sum(axis=1, keepdims=True) / heads)
        return np.concatenate(places, axis=1), np.concatenate(weights, axis=1)

    def _split(self, states: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        return [np.ascontiguousarray(part) for part in np.split(states, self._bounds, axis=1)]

    def _over_temperature(self, beyond: NDArray[np.float64]) -> NDArray[np.float64]:
        if self.temperature != AUTO:
            return beyond / float(self.temperature)
        median = np.median(beyond, axis=1, keepdims=True)
        # As T goes to 0, all but the nearest go to infinity.
        limit = np.where(beyond > 0, np.inf, 0.0)
        return np.divide(beyond, median, out=limit, where=median > 0)
