"""InsInfo over the tasks of a memory, in columns: a million instructions are counted within a second."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inscl.contract.seams import Embedder
from inscl.contract.task_tags import TagNeighbours, TaskTags
from inscl.tagging.clusters import TagClusters

__all__ = ["Information", "InformationCounts"]

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Information:
    """InsInfo and merged tags of the instructions of some tasks.

    Attributes:
        values: For each task its instructions' InsInfo, nats; shape (K,) each.
    """

    values: Sequence[Floats]
    _tags: Sequence[TaskTags]
    _starts: Sequence[Ints]
    _replaced: dict[str, str]

    def tags(self, task: int, instructions: Sequence[int]) -> list[tuple[str, ...]]:
        """The merged tags of some instructions of a task, by their numbers, each once, in order of first appearance."""
        one, starts = self._tags[task], self._starts[task]
        if len(instructions) < len(one) // 8:
            own = ([one.labels[k] for k in one.numbers[starts[k] : starts[k + 1]]] for k in instructions)
        else:
            labels, ends = list(map(one.labels.__getitem__, one.numbers.tolist())), starts.tolist()
            own = (labels[ends[k] : ends[k + 1]] for k in instructions)
        replaced = self._replaced
        return [tuple(dict.fromkeys([replaced.get(tag, tag) for tag in said])) for said in own]


class InformationCounts:
    """Counts tags; which tags are known, and which are near which, is kept from call to call.

    The result is that of `inscl.tagging.merge_tags` and `inscl.tagging.instruction_information` over the distinct
    instructions of the same tasks, whatever was counted before.

    Args:
        tag_embedder: Tags to vectors; None merges equal spellings only.
        eps: As for `merge_tags`.
        min_samples: Likewise.

    Attributes:
        clusters: What finds synonyms; None where nothing does.
    """

    def __init__(self, tag_embedder: Embedder | None, eps: float, min_samples: int) -> None:
        self.clusters = None if tag_embedder is None else TagClusters(tag_embedder, eps, min_samples)
        self._counted: list[str] = []
        self._numbers: dict[str, int] = {}
        self._names: list[str] = []
        # Of each object seen last, the numbers of its labels.
        self._places: dict[int, tuple[TaskTags, Ints]] = {}

    def count(self, tasks: Sequence[TaskTags]) -> Information:
        """InsInfo and merged tags of every instruction of some tasks; one that several tasks have counts once."""
        self._places = {id(one): self._place(one) for one in tasks}
        sizes = [one.sizes.astype(np.int64) for one in tasks]
        tags = _joined([self._places[id(one)][1][one.numbers] for one in tasks])
        rows = np.repeat(np.arange(sum(map(len, sizes))), _joined(sizes))
        counted = _first(np.concatenate([one.keys for one in tasks]) if tasks else np.zeros(0, np.uint64))
        carried = np.bincount(tags[counted[rows]], minlength=len(self._names))
        merged, replaced = self._merge(carried)
        total = int(counted.sum())
        values = _information(rows, merged[tags], counted, total)
        ends = np.cumsum([len(one) for one in tasks])[:-1]
        starts = [np.concatenate([[0], np.cumsum(own)]) for own in sizes]
        return Information(np.split(values, ends)[: len(tasks)], tasks, starts, replaced)

    @property
    def neighbours(self) -> TagNeighbours | None:
        """Which of the tags counted last are near which, for another process."""
        return None if self.clusters is None else self.clusters.neighbours(self._counted)

    def _place(self, one: TaskTags) -> tuple[TaskTags, Ints]:
        known = self._places.get(id(one))
        if known is not None and known[0] is one:
            return known
        new = [tag for tag in one.labels if tag not in self._numbers]
        self._numbers |= zip(new, range(len(self._names), len(self._names) + len(new)), strict=True)
        self._names += new
        return one, np.fromiter(map(self._numbers.__getitem__, one.labels), np.int64, len(one.labels))

    def _merge(self, carried: Ints) -> tuple[Ints, dict[str, str]]:
        """For each tag the number of its cluster, or its own; and the names of those that are called otherwise.

        Args:
            carried: Shape (tags known,): how many instructions carry each.
        """
        merged = np.arange(len(self._names))
        # Sorted, so that neither clusters nor batches depend on the order in which instructions came.
        self._counted = tags = sorted(self._names[k] for k in np.flatnonzero(carried))
        if self.clusters is None or len(tags) < 2:
            return merged, {}
        labels = np.asarray(self.clusters(tags), dtype=np.int64)
        own = np.flatnonzero(labels >= 0)
        if not len(own):
            return merged, {}
        numbers = np.array([self._numbers[tags[k]] for k in own], dtype=np.int64)
        merged[numbers] = len(merged) + labels[own]
        # A cluster is called as the tag that the most instructions carry; of equals, the first in the alphabet.
        order = np.lexsort((own, -carried[numbers], labels[own]))
        _, firsts = np.unique(labels[own][order], return_index=True)
        names = {int(labels[own[order[k]]]): tags[own[order[k]]] for k in firsts}
        said = ((tags[k], names[int(labels[k])]) for k in own)
        return merged, {tag: name for tag, name in said if tag != name}


def _information(rows: Ints, tags: Ints, counted: NDArray[np.bool_], total: int) -> Floats:
    """InsInfo of each instruction; the sums are exact, so that they don't hang on the order of tags.

    Args:
        rows: Instruction of each tag that is carried, ascending.
        tags: Which tag.
        counted: Shape (instructions,): those that count, one for each text.
        total: How many those are.
    """
    width = int(tags.max(initial=0)) + 1
    pairs = np.sort(rows * width + tags)
    pairs = pairs[np.diff(pairs, prepend=-1) != 0]
    rows, tags = pairs // width, pairs % width
    frequencies = np.bincount(tags[counted[rows]], minlength=width)
    # An instruction that doesn't count has the tags of the one that does; 1 is for what nobody asks about.
    different, places = np.unique(np.maximum(frequencies, 1), return_inverse=True)
    logs = np.array([math.log(total / int(count)) for count in different])[places] if total else np.zeros(width)
    sizes = np.bincount(rows, minlength=len(counted))
    starts = np.cumsum(sizes) - sizes
    high, low = np.zeros(len(counted)), np.zeros(len(counted))
    for k in range(int(sizes.max(initial=0))):
        own = np.flatnonzero(sizes > k)
        value, before = logs[tags[starts[own] + k]], high[own]
        # Knuth's two-sum: what rounding takes from the sum is added up apart.
        after = before + value
        part = after - before
        low[own] += (before - (after - part)) + (value - part)
        high[own] = after
    summed: Floats = high + low
    return summed


def _first(keys: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Whether each key is the first of its kind."""
    first = np.zeros(len(keys), dtype=bool)
    ordered = np.sort(keys)
    if not (ordered[1:] == ordered[:-1]).any():
        first[:] = True
    else:
        first[np.unique(keys, return_index=True)[1]] = True
    return first


def _joined(parts: Sequence[Ints]) -> Ints:
    return np.concatenate(parts) if parts else np.zeros(0, dtype=np.int64)
