"""Clusters of tags by meaning, which new tags join without those that stand being compared again."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from inscl.contract.seams import Embedder
from inscl.errors import ModelError

__all__ = ["TagClusters"]

# Products are of float32, whose cosines are off by 1e-6 at most; what is within this margin is computed in float64.
_MARGIN = 1e-5
# New tags that are compared with all at once, and pairs that are computed at once, so that both stay small in memory.
_AT_ONCE = 512
_PAIRS = 4096


class TagClusters:
    """DBSCAN (Ester et al., KDD 1996) of a growing set of tags, by the cosine distance of their vectors.

    Which tags are neighbours is kept: new tags are embedded and compared with all, and those known are never compared
    with each other again. The clusters are then those that DBSCAN finds in all tags that are given, whatever came in
    how many calls; scikit-learn's ``DBSCAN`` gives the same. Neighbours are found by a matrix product of float32, which
    takes a quarter of the time of scikit-learn's ``NearestNeighbors`` and, unlike an approximate index, misses none.

    Args:
        embedder: Tags to vectors of shape (n, d).
        eps: Largest cosine distance between neighbours.
        min_samples: Neighbours, itself among them, that make a tag the core of a cluster.
    """

    def __init__(self, embedder: Embedder, eps: float, min_samples: int) -> None:
        self.embedder, self.eps, self.min_samples = embedder, eps, min_samples
        self._numbers: dict[str, int] = {}
        self._directions = np.zeros((0, 0), dtype=np.float32)
        # Pairs of neighbours by their numbers, each pair both ways, and each tag that has a direction with itself.
        self._pairs: list[NDArray[np.int64]] = [np.zeros((2, 0), dtype=np.int64)]

    def __call__(self, tags: Sequence[str]) -> list[int]:
        """Cluster number of each tag, -1 for none; clusters are numbered as their first core tags come.

        A vector without direction has no neighbours, so it is in none.

        Args:
            tags: Different tags.

        Raises:
            ModelError: The embedder gave a vector with a NaN or an infinity, or of another length than before.
        """
        self._learn([tag for tag in tags if tag not in self._numbers])
        places = np.full(len(self._numbers), -1)
        places[[self._numbers[tag] for tag in tags]] = np.arange(len(tags))
        self._pairs = [np.concatenate(self._pairs, axis=1)]
        pairs = places[self._pairs[0]]
        return self._clusters(pairs[:, (pairs >= 0).all(axis=0)], len(tags))

    def groups(self, tags: Sequence[str]) -> list[list[str]]:
        """The clusters as lists of their tags, each in the order in which this object came to know them."""
        found: dict[int, list[str]] = {}
        for tag, cluster in zip(tags, self(tags), strict=True):
            if cluster >= 0:
                found.setdefault(cluster, []).append(tag)
        return [sorted(own, key=self._numbers.__getitem__) for own in found.values()]

    def _clusters(self, pairs: NDArray[np.int64], count: int) -> list[int]:
        from scipy.sparse import coo_array
        from scipy.sparse.csgraph import connected_components

        one, other = pairs
        core = np.bincount(one, minlength=count) >= self.min_samples
        joined = core[one] & core[other]
        links = coo_array((np.ones(joined.sum(), dtype=bool), (one[joined], other[joined])), shape=(count, count))
        _, labels = connected_components(links, directed=False)
        # Numbered by their first core tags; a tag at the border of several clusters is in the first of them.
        _, first, cluster = np.unique(labels[core], return_index=True, return_inverse=True)
        found = np.full(count, count)
        found[core] = np.argsort(np.argsort(first))[cluster]
        border = core[one] & ~core[other]
        np.minimum.at(found, other[border], found[one[border]])
        found[found == count] = -1
        return [int(number) for number in found]

    def _learn(self, tags: list[str]) -> None:
        """Embed tags and note which are near which."""
        if not tags:
            return
        vectors = np.asarray(self.embedder(tags), dtype=np.float64)
        if not np.isfinite(vectors).all():
            raise ModelError(
                "the embedder of the tags gave a vector that is not a number: choose another replay.tag_embedder"
            )
        known = len(self._numbers)
        if known and vectors.shape[1] != self._directions.shape[1]:
            raise ModelError(
                f"the embedder of the tags gave vectors of {vectors.shape[1]} numbers, before of "
                f"{self._directions.shape[1]}: choose another replay.tag_embedder"
            )
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        directions = np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0).astype(np.float32)
        self._directions = np.concatenate([self._directions.reshape(known, directions.shape[1]), directions])
        self._numbers |= {tag: known + k for k, tag in enumerate(tags)}
        for start in range(known, len(self._numbers), _AT_ONCE):
            self._note_neighbours(start, min(start + _AT_ONCE, len(self._numbers)))

    def _note_neighbours(self, start: int, stop: int) -> None:
        """Compare the tags from `start` to `stop` with each other and with all before them."""
        own = self._directions[start:stop]
        found = np.flatnonzero((own @ self._directions[:stop].T).ravel() >= 1 - self.eps - _MARGIN)
        one, other = found // stop + start, found % stop
        close = np.zeros(len(one), dtype=bool)
        for begin in range(0, len(one), _PAIRS):
            part = slice(begin, begin + _PAIRS)
            ends = self._directions[other[part]].astype(np.float64)
            apart = self._directions[one[part]] - ends
            # Half the squared chord is the cosine distance; a vector without direction has none.
            close[part] = (np.einsum("ij,ij->i", apart, apart) / 2 <= self.eps) & ends.any(axis=1)
        one, other = one[close], other[close]
        # What stood before is not asked itself: its side of the pair is noted here.
        back = other < start
        self._pairs += [np.stack([one, other]), np.stack([other[back], one[back]])]
