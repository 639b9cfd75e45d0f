"""Tags that mean the same become one tag."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inscl.contract.seams import Embedder
from inscl.errors import ModelError
from inscl.tagging.normalise import normalise_tag

__all__ = ["MergedTags", "merge_tags", "merge_tags_with_map"]


@dataclass(frozen=True)
class MergedTags:
    """Merged tags and what became of each.

    Attributes:
        tags: For each instruction its merged tags, each once, in order of first appearance.
        replaced: Normalised tag -> the tag that stands for its cluster, for those that differ.
    """

    tags: list[tuple[str, ...]]
    replaced: Mapping[str, str]


def merge_tags(
    tags: Sequence[Sequence[str]], embedder: Embedder | None, *, eps: float = 0.1, min_samples: int = 5
) -> list[tuple[str, ...]]:
    """The merged tags of each instruction; see `merge_tags_with_map`."""
    return merge_tags_with_map(tags, embedder, eps=eps, min_samples=min_samples).tags


def merge_tags_with_map(
    tags: Sequence[Sequence[str]], embedder: Embedder | None, *, eps: float = 0.1, min_samples: int = 5
) -> MergedTags:
    """Normalise tags, cluster them by meaning and name each cluster after its most frequent member.

    As the paper's released code does it (InsCL, section 3.3): DBSCAN over the vectors of the distinct tags, cosine
    distance; tags in no cluster stay as they are. There the last cluster is left unmerged by a slip; here every
    cluster is merged.

    Args:
        tags: For each instruction its raw tags.
        embedder: Tags to vectors of shape (n, d). None normalises only.
        eps: Largest cosine distance between neighbours.
        min_samples: Neighbours, itself among them, that make a tag the core of a cluster.

    Returns:
        The merged tags with the map that made them. A cluster's most frequent member is the one that the most
        instructions carry; of several, the first in the alphabet.

    Raises:
        ModelError: The embedder gave a vector with a NaN or an infinity.
    """
    normal = [_distinct(normalise_tag(tag) for tag in own) for own in tags]
    carried = Counter(tag for own in normal for tag in own)
    if embedder is None or len(carried) < 2:
        return MergedTags(normal, {})
    # Sorted, so that neither clusters nor batches depend on the order in which instructions came.
    unique = sorted(carried)
    clusters = _clusters(np.asarray(embedder(unique), dtype=np.float64), eps, min_samples)
    replaced: dict[str, str] = {}
    for cluster in sorted(set(clusters) - {-1}):
        members = [tag for tag, own in zip(unique, clusters, strict=True) if own == cluster]
        name = min(members, key=lambda tag: (-carried[tag], tag))
        replaced.update({tag: name for tag in members if tag != name})
    return MergedTags([_distinct(replaced.get(tag, tag) for tag in own) for own in normal], replaced)


def _clusters(vectors: NDArray[np.float64], eps: float, min_samples: int) -> list[int]:
    """Cluster number of each row; -1 for none. A vector without direction has no neighbours, so it is none."""
    from sklearn.cluster import DBSCAN

    if not np.isfinite(vectors).all():
        raise ModelError(
            "the embedder of the tags gave a vector that is not a number: choose another replay.tag_embedder"
        )
    lengths = np.linalg.norm(vectors, axis=1)
    labels = np.full(len(vectors), -1)
    usable = lengths > 0
    if usable.any():
        directions = vectors[usable] / lengths[usable, None]
        labels[usable] = DBSCAN(eps=eps, min_samples=min_samples, metric="cosine").fit_predict(directions)
    return [int(label) for label in labels]


def _distinct(tags: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(tag for tag in tags if tag))
