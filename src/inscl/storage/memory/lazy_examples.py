"""Examples that stay on disk: a sequence that knows its length and reads rows on demand."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np
from numpy.typing import NDArray

from inscl.contract import Example, Task
from inscl.contract.example_table import ExampleTable
from inscl.storage.memory.catalog import TaskEntry
from inscl.storage.memory.picture_table import PictureTable
from inscl.storage.memory.rows import CHARACTERS, ROWS, column_digest, restored, row_check
from inscl.storage.memory.table import Table

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["LazyExamples", "TaskRows"]

_COLUMNS = ["instruction", "input", "outputs", "source", "more", "check"]
# A column of numbers is read in larger steps than texts.
_NUMBERS = 1 << 16


class TaskRows:
    """The rows of one task in the tables, both splits: the train split's first, then the test split's.

    Args:
        entry: Where they are.
        examples: The table of examples.
        instructions: The table of the tasks' distinct instructions.
        pictures: The table of pictures.
    """

    def __init__(self, entry: TaskEntry, examples: Table, instructions: Table, pictures: PictureTable) -> None:
        self.entry, self.examples, self._instructions, self._pictures = entry, examples, instructions, pictures

    @cached_property
    def counted(self) -> list[tuple[str, int]]:
        """Distinct instructions with how many train examples carry each.

        Those of the train split come first, in order of first appearance, then those of the test split alone.
        """
        rows: list[tuple[str, int]] = []
        with self._instructions.reading():
            for batch in self._instructions.scan(self.entry.instructions, ["text", "train"]):
                rows += zip(map(restored, batch["text"].to_pylist()), batch["train"].to_pylist(), strict=True)
        if column_digest(rows) != self.entry.digests["instructions"]:
            raise self._instructions.failure(f"the instructions of task {self.entry.name!r} are damaged")
        return rows

    @cached_property
    def texts(self) -> list[str]:
        """Distinct instructions of both splits, in the order of `counted`."""
        return [text for text, _ in self.counted]

    def task(self) -> Task:
        """The task with splits that read from here. The tables are opened, so that later versions don't close them."""
        for table in (self.examples, self._instructions, self._pictures):
            if table.version is not None:
                table.open()
        return Task(self.entry.name, LazyExamples(self, "train"), LazyExamples(self, "test"), self.entry.max_new_tokens)

    @property
    def block(self) -> int:
        """How many examples are read at once: fewer where they are long."""
        rows = self.entry.train + self.entry.test
        return max(1, min(ROWS, CHARACTERS * rows // max(1, self.entry.characters)))

    def column(self, split: str, name: str) -> NDArray[Any]:
        """One column of numbers of a split, compared with its digest; shape (rows of the split,)."""
        start, count = (0, self.entry.train) if split == "train" else (self.entry.train, self.entry.test)
        parts = [b[name].to_numpy() for b in self.examples.scan(self.entry.examples, [name], _NUMBERS, count, start)]
        values = np.concatenate(parts) if parts else np.zeros(0, np.uint64)
        if column_digest(values) != self.entry.digests[f"{split}.{name}"]:
            raise self.examples.failure(f"the column {name!r} of task {self.entry.name!r} is damaged")
        return values

    @property
    def pictures(self) -> Iterator[str]:
        """The digest of every picture, as often as an example asks about it; no other column is read."""
        for batch in self.examples.scan(self.entry.examples, ["more"]):
            with self.examples.reading():
                told = [json.loads(more) for more in batch["more"].to_pylist() if more]
            yield from (image["sha256"] for row in told for image in row.get("images", ()))

    def batches(self, start: int, count: int) -> Iterator[list[Example]]:
        """Examples of `count` rows from `start`, a block at a time."""
        for batch in self.examples.scan(self.entry.examples, _COLUMNS, self.block, count, start):
            yield self._made(batch)

    def at(self, rows: Sequence[int]) -> list[Example]:
        """Examples of some rows, ascending."""
        if not rows:
            return []
        return self._made(self.examples.take(self.entry.examples, rows, _COLUMNS))

    def _made(self, table: pa.Table | pa.RecordBatch) -> list[Example]:
        with self.examples.reading():
            columns = [table[name].to_pylist() for name in _COLUMNS]
            found = []
            for number, text, outputs, source, more, check in zip(*columns, strict=True):
                given = (self.texts[number], restored(text), tuple(map(restored, outputs)), restored(source))
                if row_check([*given, more]) != check:
                    raise self.examples.failure(f"an example of task {self.entry.name!r} is damaged")
                example = Example(given[0], given[1], given[2], self.entry.name, given[3])
                if more:
                    whole = Example.from_json({**example.to_json(), **json.loads(more)})
                    example = self._pictures.with_content(whole)
                found.append(example)
            return found


class LazyExamples(ExampleTable):
    """One split of a task in the store.

    Iterating reads blocks, `at` many positions at once. A single position reads the block around it, which is kept for
    the next.

    Args:
        rows: The task.
        split: Which of the two.
    """

    def __init__(self, rows: TaskRows, split: Literal["train", "test"]) -> None:
        self._rows, self._split = rows, split
        self._start, self._length = (0, rows.entry.train) if split == "train" else (rows.entry.train, rows.entry.test)
        self._kept: tuple[int, list[Example]] = (-1, [])

    def __len__(self) -> int:
        return self._length

    @overload
    def __getitem__(self, position: int) -> Example: ...
    @overload
    def __getitem__(self, position: slice) -> Sequence[Example]: ...
    def __getitem__(self, position: int | slice) -> Example | Sequence[Example]:
        if isinstance(position, slice):
            return tuple(self.at(range(self._length)[position]))
        number, inside = divmod(range(self._length)[position], self._rows.block)
        if self._kept[0] != number:
            first = number * self._rows.block
            count = min(self._rows.block, self._length - first)
            self._kept = (number, [e for part in self._rows.batches(self._start + first, count) for e in part])
        return self._kept[1][inside]

    def __iter__(self) -> Iterator[Example]:
        for batch in self._rows.batches(self._start, self._length):
            yield from batch

    def at(self, positions: Iterable[int]) -> list[Example]:
        """The examples at many positions, in that order, read at once."""
        wanted = [range(self._length)[position] for position in positions]
        distinct = sorted(set(wanted))
        found = dict(zip(distinct, self._rows.at([self._start + k for k in distinct]), strict=True))
        return [found[k] for k in wanted]

    @property
    def instruction_counts(self) -> dict[str, int]:
        """Distinct instructions in order of first appearance, with how many examples carry each."""
        if self._split == "train":
            return {text: count for text, count in self._rows.counted if count}
        numbers, first, counts = self._appearances()
        return {self._rows.texts[numbers[k]]: int(counts[k]) for k in np.argsort(first)}

    @property
    def distinct(self) -> int:
        """Number of distinct instructions."""
        known = self._rows.entry.digests.get("distinct") if self._split == "train" else None
        return len(self.instruction_counts) if known is None else int(known)

    @property
    def instruction_digest(self) -> str:
        """Of the train split that which its instructions must hash to when they are read."""
        return self._rows.entry.digests["instructions"] if self._split == "train" else super().instruction_digest

    @property
    def instruction_index(self) -> NDArray[np.int64]:
        """Shape (len,): for every example the number of its instruction in the keys of `instruction_counts`."""
        index = self._rows.column(self._split, "instruction").astype(np.int64)
        if self._split == "train":
            return index
        numbers, first, _ = self._appearances()
        ranks = {int(numbers[k]): rank for rank, k in enumerate(np.argsort(first))}
        return np.array([ranks[int(number)] for number in index], dtype=np.int64)

    @property
    def ids(self) -> list[str]:
        """`Example.id` of every example, without reading the texts."""
        return [f"{value:016x}" for value in self._rows.column(self._split, "id").tolist()]

    def _appearances(self) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        index = self._rows.column(self._split, "instruction")
        return np.unique(index, return_index=True, return_counts=True)

    def __repr__(self) -> str:
        return f"<{self._length} {self._split} examples of {self._rows.entry.name!r}, on disk>"
