"""One object a task in a table of the memory: what plans made of it. One row each, of which a task's last counts."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

import numpy as np

from inscl.contract.task_summary import TaskSummary
from inscl.contract.task_tags import TaskTags
from inscl.storage.memory.rows import record_batch, restored, storable
from inscl.storage.memory.table import Table

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["SUMMARIES", "TAGGED", "PerTask"]


class _Made(Protocol):
    @property
    def of(self) -> str: ...


_T = TypeVar("_T", bound=_Made)


@dataclass(frozen=True)
class PerTask(Generic[_T]):
    """How objects of one kind are kept.

    Attributes:
        called: What a message calls one.
        columns: Beside ``task``, ``of`` and ``check``, with the names of their Arrow types.
        encode: An object to the values of these columns.
        decode: What it was made of, and those values, to the object.
        check: Key, what it was made of, and values to a checksum.
    """

    called: str
    columns: Mapping[str, str]
    encode: Callable[[_T], tuple[Any, ...]]
    decode: Callable[[str, tuple[Any, ...]], _T]
    check: Callable[[str, str, tuple[Any, ...]], int]

    def read(self, table: Table) -> dict[str, _T]:
        """Key of a task -> its object."""
        found: dict[str, _T] = {}
        names = ["task", "of", *self.columns, "check"]
        for batch in table.scan(None, names, 64):
            with table.reading():
                for key, of, *values, check in zip(*(batch[name].to_pylist() for name in names), strict=True):
                    if self.check(key, of, tuple(values)) != check:
                        raise table.failure(f"{self.called} of a task is damaged")
                    found[key] = self.decode(of, tuple(values))
        return found

    def keep(self, table: Table, made: Mapping[str, _T]) -> None:
        """Append what isn't kept yet, or otherwise."""
        known: dict[str, str] = {}
        for batch in table.scan(None, ["task", "of"]):
            known |= dict(zip(batch["task"].to_pylist(), batch["of"].to_pylist(), strict=True))
        new = {key: one for key, one in made.items() if known.get(key) != one.of}
        if new:
            table.merge_tail()
            self._append(table, new)

    def forget(self, table: Table, keys: Collection[str]) -> None:
        """Write all anew without those of some tasks."""
        known = self.read(table)
        kept = {key: one for key, one in known.items() if key not in keys}
        if len(kept) < len(known):
            table.remove_all()
            self._append(table, kept)

    def _append(self, table: Table, made: Mapping[str, _T]) -> None:
        schema = self._schema()

        def batches() -> Iterator[pa.RecordBatch]:
            for key, one in made.items():
                values = self.encode(one)
                columns = (key, one.of, *values, self.check(key, one.of, values))
                yield record_batch(schema, [[value] for value in columns])

        table.append(batches(), schema)

    def _schema(self) -> pa.Schema:
        import pyarrow as pa

        types = {"texts": pa.list_(pa.large_string()), "bytes": pa.large_binary(), "number": pa.float64()}
        own = {name: types[kind] for name, kind in self.columns.items()}
        return pa.schema({"task": pa.string(), "of": pa.string(), **own, "check": pa.uint32()})


def _summary(of: str, values: tuple[Any, ...]) -> TaskSummary:
    spread, weights, points = values
    masses = np.frombuffer(weights, "<f8").astype(np.float64)
    return TaskSummary(of, np.frombuffer(points, "<f4").astype(np.float32).reshape(len(masses), -1), masses, spread)


def _tags(of: str, values: tuple[Any, ...]) -> TaskTags:
    labels, keys, sizes, numbers = values
    return TaskTags(
        of,
        np.frombuffer(keys, "<u8").astype(np.uint64),
        tuple(map(restored, labels)),
        np.frombuffer(sizes, "<i4").astype(np.int32),
        np.frombuffer(numbers, "<i4").astype(np.int32),
    )


SUMMARIES = PerTask[TaskSummary](
    "the summary",
    {"spread": "number", "weights": "bytes", "points": "bytes"},
    lambda one: (float(one.spread), one.weights.astype("<f8").tobytes(), one.points.astype("<f4").tobytes()),
    _summary,
    lambda key, of, values: zlib.crc32(
        values[2], zlib.crc32(values[1], zlib.crc32(f"{key}\n{of}\n{values[0]!r}".encode()))
    ),
)
TAGGED = PerTask[TaskTags](
    "what is known of the tags",
    {"labels": "texts", "keys": "bytes", "sizes": "bytes", "numbers": "bytes"},
    lambda one: (
        [storable(label) for label in one.labels],
        one.keys.astype("<u8").tobytes(),
        one.sizes.astype("<i4").tobytes(),
        one.numbers.astype("<i4").tobytes(),
    ),
    _tags,
    lambda key, of, values: zlib.crc32(
        values[3], zlib.crc32(values[2], zlib.crc32(values[1], zlib.crc32(f"{key}\n{of}\n{values[0]!r}".encode())))
    ),
)
