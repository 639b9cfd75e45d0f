"""Vectors and tags of instructions in the memory's table ``facts``: one row per update."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from inscl.storage.memory.rows import batched, record_batch, restored, row_check, storable
from inscl.storage.memory.table import Table

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Tags", "Vectors", "forget", "learn", "read_facts"]

Vectors = Mapping[str, NDArray[np.float32]]
"""Instruction -> embedding, shape (d,)."""
Tags = Mapping[str, tuple[str, ...]]
"""Instruction -> its raw intention tags."""

# Each stage adds a file; this many are put together in one, so that reading them all stays quick.
_FRAGMENTS = 32


def read_facts(
    table: Table, wanted: Collection[str] | None = None
) -> tuple[dict[str, NDArray[np.float32]], dict[str, tuple[str, ...]]]:
    """Vectors and tags of the instructions `wanted`, or of all; what isn't known of one is absent."""
    vectors: dict[str, NDArray[np.float32]] = {}
    tags: dict[str, tuple[str, ...]] = {}
    for batch in table.scan(None, ["text", "vector", "tags", "check"]):
        with table.reading():
            for stored, vector, labels, check in zip(*(batch[name] for name in batch.schema.names), strict=True):
                text = restored(stored.as_py())
                point = vector.values.to_numpy(zero_copy_only=False).astype(np.float32) if vector.is_valid else None
                said = tuple(restored(label) for label in labels.as_py()) if labels.is_valid else None
                if _check(text, point, said) != check.as_py():
                    raise table.failure("a vector or the tags of an instruction are damaged")
                if wanted is not None and text not in wanted:
                    continue
                # A later row adds to what an earlier one said.
                if point is not None:
                    vectors[text] = point
                if said is not None:
                    tags[text] = said
    return vectors, tags


def learn(table: Table, vectors: Vectors, tags: Tags) -> None:
    """Append what isn't known yet, or otherwise; every so often write all facts as one fragment."""
    known_vectors, known_tags = read_facts(table, {*vectors, *tags})
    new_vectors = {text: v for text, v in vectors.items() if not _same(known_vectors.get(text), v)}
    new_tags = {text: tuple(said) for text, said in tags.items() if known_tags.get(text) != tuple(said)}
    if (new_vectors or new_tags) and table.count_fragments() >= _FRAGMENTS:
        old_vectors, old_tags = read_facts(table)
        new_vectors, new_tags = {**old_vectors, **new_vectors}, {**old_tags, **new_tags}
        table.remove_all()
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
