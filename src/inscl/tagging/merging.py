"""Tags that mean the same become one tag."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from inscl.contract.seams import Embedder
from inscl.tagging.clusters import TagClusters
from inscl.tagging.normalise import normalise_tag

__all__ = ["MergedTags", "merge_tags", "merge_tags_with_map", "named", "normalised"]


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
    normal = [normalised(own) for own in tags]
    carried = Counter(tag for own in normal for tag in own)
    if embedder is None:
        return MergedTags(normal, {})
    # Sorted, so that neither clusters nor batches depend on the order in which instructions came.
    groups = TagClusters(embedder, eps, min_samples).groups(sorted(carried)) if len(carried) > 1 else []
    replaced = {tag: name for name, own in named(groups, carried) for tag in own if tag != name}
    return MergedTags([_distinct(replaced.get(tag, tag) for tag in own) for own in normal], replaced)


def normalised(tags: Iterable[str]) -> tuple[str, ...]:
    """The normalised tags of an instruction, each once, without those of which nothing is left."""
    return _distinct(normalise_tag(tag) for tag in tags)


def named(groups: Iterable[list[str]], carried: Mapping[str, int]) -> Iterator[tuple[str, list[str]]]:
    """Each cluster after the tag that it is called by: the one that the most instructions carry.

    Args:
        groups: The tags of each cluster.
        carried: For each normalised tag how many instructions carry it; of equals, the first in the alphabet is taken.
    """
    for own in groups:
        yield min(own, key=lambda tag: (-carried[tag], tag)), own


def _distinct(tags: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(tag for tag in tags if tag))
