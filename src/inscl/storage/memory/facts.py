"""Vectors and tags of instructions in the memory's table ``facts``: one row per update."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from inscl.contract.stored_facts import StoredFacts, Value
from inscl.storage.memory.rows import batched, record_batch, restored, row_check, storable
from inscl.storage.memory.table import Table

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Facts", "KeptFacts", "Tags", "Vectors", "forget", "learn", "read_facts"]

Vectors = Mapping[str, NDArray[np.float32]]
"""Instruction -> embedding, shape (d,)."""
Tags = Mapping[str, tuple[str, ...]]
"""Instruction -> its raw intention tags."""
Facts = tuple[dict[str, NDArray[np.float32]], dict[str, tuple[str, ...]]]

_COLUMNS = ["text", "vector", "tags", "check"]
# Of fewer instructions than this share of all rows, the texts alone are gone through, and then those rows read.
_FEW = 8
_TEXTS = 1 << 14


class KeptFacts(StoredFacts[Value]):
    """The vectors or the tags of some instructions, read from the store when they are asked for, and not before.

    Args:
        read: Instructions to their vectors and tags.
        texts: Gives the instructions that it is the mapping of.
        part: 0 for the vectors, 1 for the tags.
    """

    def __init__(self, read: Callable[[Collection[str]], Facts], texts: Callable[[], Collection[str]], part: int):
        self._read, self._texts, self._part = read, texts, part

    @cached_property
    def _all(self) -> Mapping[str, Any]:
        return self.some(self._texts())

    def some(self, texts: Iterable[str]) -> dict[str, Value]:
        """What is known now of some instructions."""
        wanted = set(texts)
        found: dict[str, Any] = self._read(wanted)[self._part] if wanted else {}
        return found

    def __getitem__(self, text: str) -> Value:
        found: Value = self._all[text]
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self._all)

    def __len__(self) -> int:
        return len(self._all)


def read_facts(table: Table, wanted: Collection[str] | None = None) -> Facts:
    """Vectors and tags of the instructions `wanted`, or of all; what isn't known of one is absent.

    Every row that is read is checked. Where a few are looked for in a large file, an instruction whose text is damaged
    isn't found, and what was known of it is made anew.
    """
    fragments = table.fragments
    if wanted is not None and len(wanted) * _FEW < sum(count for _, count in fragments):
        places = _places(table, wanted)
        found: Facts = {}, {}
        if places:
            _take_over(table, table.take(fragments, places, _COLUMNS), found)
        return found
    found = {}, {}
    for batch in table.scan(None, _COLUMNS):
        _take_over(table, batch, found, wanted)
    return found


def learn(table: Table, vectors: Vectors, tags: Tags) -> None:
    """Append what isn't known yet, or otherwise."""
    known_vectors, known_tags = read_facts(table, {*vectors, *tags})
    new_vectors = {text: v for text, v in vectors.items() if not _same(known_vectors.get(text), v)}
    new_tags = {text: tuple(said) for text, said in tags.items() if known_tags.get(text) != tuple(said)}
    if new_vectors or new_tags:
        table.merge_tail()
        _append(table, new_vectors, new_tags)


def forget(table: Table, goes: Callable[[str], bool]) -> tuple[str, ...]:
    """Write the facts anew without those of the instructions that `goes` names; returns these."""
    vectors, tags = read_facts(table)
    gone = tuple(filter(goes, dict.fromkeys([*vectors, *tags])))
    if gone:
        table.remove_all()
        for text in gone:
            vectors.pop(text, None)
            tags.pop(text, None)
        _append(table, vectors, tags)
    return gone


def _take_over(
    table: Table, rows: pa.RecordBatch | pa.Table, found: Facts, wanted: Collection[str] | None = None
) -> None:
    """Add what rows say of the instructions `wanted` to `found`: a later one adds to what an earlier one said."""
    vectors, tags = found
    with table.reading():
        for stored, vector, labels, check in zip(*(rows[name] for name in _COLUMNS), strict=True):
            text = restored(stored.as_py())
            point = vector.values.to_numpy(zero_copy_only=False).astype(np.float32) if vector.is_valid else None
            said = tuple(restored(label) for label in labels.as_py()) if labels.is_valid else None
            if _check(text, point, said) != check.as_py():
                raise table.failure("a vector or the tags of an instruction are damaged")
            if wanted is not None and text not in wanted:
                continue
            if point is not None:
                vectors[text] = point
            if said is not None:
                tags[text] = said


def _places(table: Table, wanted: Collection[str]) -> list[int]:
    """The rows of some instructions, ascending."""
    places, start, values = [], 0, _values(wanted)
    for batch in table.scan(None, ["text"], _TEXTS):
        with table.reading():
            inside = np.flatnonzero(_among(batch["text"], values).to_numpy(zero_copy_only=False))
        places += (start + inside).tolist()
        start += batch.num_rows
    return places


def _values(texts: Collection[str]) -> Any:
    import pyarrow as pa

    return pa.array([storable(text) for text in texts], pa.large_string())


def _among(column: Any, values: Any) -> Any:
    import pyarrow.compute as pc

    return pc.is_in(column, value_set=values)


def _append(table: Table, vectors: Vectors, tags: Tags) -> None:
    schema = _schema()

    def batches() -> Iterator[pa.RecordBatch]:
        for part in batched(dict.fromkeys([*vectors, *tags]), len):
            points = [np.asarray(vectors[text], np.float32) if text in vectors else None for text in part]
            said = [tags.get(text) for text in part]
            columns = [
                [storable(text) for text in part],
                points,
                [None if labels is None else [storable(label) for label in labels] for labels in said],
                list(map(_check, part, points, said)),
            ]
            yield record_batch(schema, columns)

    table.append(batches(), schema)


def _check(text: str, point: NDArray[np.float32] | None, tags: tuple[str, ...] | None) -> int:
    return row_check([text, None if point is None else point.tobytes().hex(), tags])


def _same(known: NDArray[np.float32] | None, new: NDArray[np.float32]) -> bool:
    return known is not None and known.tobytes() == np.asarray(new, np.float32).tobytes()


def _schema() -> pa.Schema:
    import pyarrow as pa

    return pa.schema(
        {
            "text": pa.large_string(),
            "vector": pa.list_(pa.float32()),
            "tags": pa.list_(pa.large_string()),
            "check": pa.uint32(),
        }
    )
