"""Clusters of tags by meaning, which new tags join without those that stand being compared again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from inscl.contract.seams import Embedder
from inscl.contract.task_tags import TagNeighbours
from inscl.errors import ModelError
from inscl.transport.distances import on_all_cores

__all__ = ["TagClusters"]

# Products are of float32, whose cosines are off by 1e-6 at most; what is within this margin is computed in float64.
_MARGIN = 1e-5
# The same where they were turned before.
_TURNED = 1e-4
# New tags that are compared with all at once, and pairs that are computed at once, so that both stay small in memory.
_AT_ONCE = 512
_PAIRS = 4096
# Fewer comparisons than this are done before a sketch of the tags is made, and before threads have begun.
_MANY = 1 << 26
# Of how many tags it is measured how well a sketch tells neighbours.
_SAMPLE = 1024
# What one pair costs, in numbers of a product: to look at it at all, and to compute it where the sketch leaves it open.
_LOOK, _OPEN = 16, 4000


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

    def neighbours(self, tags: Collection[str]) -> TagNeighbours | None:
        """What is known of some tags, for another process; None where nothing says which embedder was asked."""
        if (of := self._identity) is None:
            return None
        numbers = sorted(self._numbers[tag] for tag in tags if tag in self._numbers)
        places = np.full(len(self._numbers), -1)
        places[numbers] = np.arange(len(numbers))
        pairs = places[np.concatenate(self._pairs, axis=1)]
        pairs = pairs[:, (pairs >= 0).all(axis=0)]
        pairs = pairs[:, np.argsort(pairs.max(axis=0, initial=-1), kind="stable")].astype(np.int32)
        names = list(self._numbers)
        return TagNeighbours(of, tuple(names[k] for k in numbers), self._directions[numbers], pairs)

    def know(self, neighbours: TagNeighbours | None) -> None:
        """Take up what another process found, unless this one knows tags already or would find something else."""
        if neighbours is None or self._numbers or neighbours.of != self._identity:
            return
        self._numbers = {tag: number for number, tag in enumerate(neighbours.tags)}
        self._directions = neighbours.directions
        self._pairs = [neighbours.pairs.astype(np.int64)]

    @property
    def _identity(self) -> str | None:
        fingerprint = getattr(self.embedder, "fingerprint", None)
        if not isinstance(fingerprint, str) or not fingerprint:
            return None
        return hashlib.sha256(json.dumps([fingerprint, self.eps]).encode()).hexdigest()

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
        self._compare(known)

    def _compare(self, known: int) -> None:
        """Note the neighbours of the tags from number `known` on."""
        count = len(self._numbers)
        parts = [(start, min(start + _AT_ONCE, count)) for start in range(known, count, _AT_ONCE)]
        if (count - known) * count < _MANY:
            found = [self._near(self._directions, 1 - self.eps - _MARGIN, *part) for part in parts]
        else:
            least = 1 - self.eps - _TURNED
            sketch = _sketches(self._directions, least)
            found = on_all_cores(lambda part: self._near(sketch, least, *part), parts)
        for (start, _), (one, other) in zip(parts, found, strict=True):
            # What stood before is not asked itself: its side of the pair is noted here.
            back = other < start
            self._pairs += [np.stack([one, other]), np.stack([other[back], one[back]])]

    def _near(
        self, sketch: NDArray[np.float32], least: float, start: int, stop: int
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The neighbours of the tags from `start` to `stop` among themselves and all before them.

        Args:
            sketch: Shape (tags, m): the product of two rows isn't below their cosine, but for rounding.
            least: Products that are looked at.
            start: First number.
            stop: One more than the last.
        """
        found = np.flatnonzero((sketch[start:stop] @ sketch[:stop].T).ravel() >= least)
        one, other = found // stop + start, found % stop
        close = np.zeros(len(one), dtype=bool)
        for begin in range(0, len(one), _PAIRS):
            part = slice(begin, begin + _PAIRS)
            ends = self._directions[other[part]].astype(np.float64)
            apart = self._directions[one[part]] - ends
            # Half the squared chord is the cosine distance; a vector without direction has none.
            close[part] = (np.einsum("ij,ij->i", apart, apart) / 2 <= self.eps) & ends.any(axis=1)
        return one[close], other[close]


def _sketches(directions: NDArray[np.float32], least: float) -> NDArray[np.float32]:
    r"""Shorter rows whose products are never below the cosines, so that few pairs are left to be computed.

    With a rotation into principal axes, of which the first m are kept, and the length r of the rest, Cauchy-Schwarz
    says :math:`\cos(x, y) \le \sum_{k \le m} x_k y_k + r_x r_y`. How many are kept is decided by what products of some
    of the rows show.

    Args:
        directions: Shape (n, d), of length 1 or 0.
        least: Which cosines matter.

    Returns:
        Shape (n, m + 1), or the directions where nothing shorter would be quicker.
    """
    width = directions.shape[1]
    _, axes = np.linalg.eigh((directions.T @ directions).astype(np.float64))
    turned = directions @ axes[:, ::-1].astype(np.float32)
    some = turned[np.random.default_rng(0).permutation(len(turned))[:_SAMPLE]]
    best, cheapest = directions, float(_LOOK + width)
    for kept in (width // 16, width // 8, width // 4, width // 2):
        sketch = _sketch(some, kept)
        left = float((sketch @ sketch.T >= least).mean()) - 1 / len(some)
        if (cost := _LOOK + kept + _OPEN * left) < cheapest:
            best, cheapest = _sketch(turned, kept), cost
    return best


def _sketch(turned: NDArray[np.float32], kept: int) -> NDArray[np.float32]:
    rest = np.sqrt(np.einsum("ij,ij->i", turned[:, kept:], turned[:, kept:]))
    return np.concatenate([turned[:, :kept], rest[:, None]], axis=1)
