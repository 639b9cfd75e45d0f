"""InsInfo over a memory that grows: what is normalised, clustered and counted stays so until it changes."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from inscl.contract.seams import Embedder
from inscl.tagging.clusters import TagClusters
from inscl.tagging.merging import named, normalised

__all__ = ["InformationCounts"]

Tags = tuple[str, ...]


class InformationCounts:
    """InsInfo and merged tags of instructions, from counts that go on from plan to plan.

    The result is that of `inscl.tagging.merge_tags` and `inscl.tagging.instruction_information` over the same
    instructions, whatever was counted before.

    Args:
        tag_embedder: Tags to vectors; None merges equal spellings only.
        eps: As for `merge_tags`.
        min_samples: Likewise.
    """

    def __init__(self, tag_embedder: Embedder | None, eps: float, min_samples: int) -> None:
        self._clusters = None if tag_embedder is None else TagClusters(tag_embedder, eps, min_samples)
        self._raw: dict[str, Sequence[str]] = {}
        self._normal: dict[str, Tags] = {}
        self._carried: Counter[str] = Counter()
        # Tag -> the tag of its cluster that was known first, where that is another. Unlike the name of a cluster, this
        # stays when another of its tags becomes the most frequent one.
        self._first: Mapping[str, str] = {}
        self._merged: dict[str, Tags] = {}
        self._merged_carried: Counter[str] = Counter()

    def count(self, raw: Mapping[str, Sequence[str]]) -> tuple[dict[str, float], Mapping[str, Tags]]:
        """InsInfo, nats, and merged tags of each instruction; the latter hold until the next call.

        Args:
            raw: Instruction -> its raw tags, of all distinct instructions of tasks 1..i.
        """
        new = self._take_over(raw)
        groups = (
            [] if self._clusters is None or len(self._carried) < 2 else self._clusters.groups(sorted(self._carried))
        )
        self._merge(new, {tag: own[0] for own in groups for tag in own[1:]})
        total = len(self._merged)
        logs = {tag: math.log(total / carried) for tag, carried in self._merged_carried.items()}
        # fsum is exact, so the value doesn't hang on the order of an instruction's tags.
        values = {text: math.fsum([logs[tag] for tag in self._merged[text]]) for text in raw}
        return values, _Named(self._merged, {own[0]: name for name, own in named(groups, self._carried)})

    def _take_over(self, raw: Mapping[str, Sequence[str]]) -> list[str]:
        """Count the tags of what is new or tagged otherwise, and leave out what is gone; returns the former."""
        for text in self._raw.keys() - raw.keys():
            self._leave_out(text)
        new = [text for text, tags in raw.items() if self._raw.get(text) != tags]
        for text in new:
            if text in self._raw:
                self._leave_out(text)
            self._raw[text], self._normal[text] = raw[text], normalised(raw[text])
            self._carried.update(self._normal[text])
        return new

    def _leave_out(self, text: str) -> None:
        _discount(self._carried, self._normal.pop(text))
        _discount(self._merged_carried, self._merged.pop(text))
        del self._raw[text]

    def _merge(self, new: Iterable[str], first: Mapping[str, str]) -> None:
        """Bring merged tags up to date where a tag is in another cluster now, and make those of new instructions."""
        both = self._first.keys() | first.keys()
        changed = {tag for tag in both if self._first.get(tag) != first.get(tag)}
        self._first = first
        again = [text for text in self._merged if not changed.isdisjoint(self._normal[text])] if changed else []
        for text in again:
            _discount(self._merged_carried, self._merged[text])
        for text in (*again, *new):
            self._merged[text] = tuple(dict.fromkeys(first.get(tag, tag) for tag in self._normal[text]))
            self._merged_carried.update(self._merged[text])


@dataclass(frozen=True, eq=False)
class _Named(Mapping[str, Tags]):
    """Merged tags of instructions by the names of their clusters, made as they are asked for."""

    merged: Mapping[str, Tags]
    names: Mapping[str, str]

    def __getitem__(self, text: str) -> Tags:
        return tuple(self.names.get(tag, tag) for tag in self.merged[text])

    def __iter__(self) -> Iterator[str]:
        return iter(self.merged)

    def __len__(self) -> int:
        return len(self.merged)


def _discount(carried: Counter[str], tags: Tags) -> None:
    for tag in tags:
        carried[tag] -= 1
        if not carried[tag]:
            del carried[tag]
