"""Which tags lie near which, in the memory's table ``neighbours``: one row for what each stage added."""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from inscl.contract.task_tags import TagNeighbours
from inscl.storage.memory.rows import record_batch, restored, storable
from inscl.storage.memory.table import Table

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["keep_neighbours", "read_neighbours"]

_COLUMNS = ["of", "tags", "directions", "pairs", "upto", "check"]


def read_neighbours(table: Table) -> TagNeighbours | None:
    """All that is kept; None where nothing is."""
    of, tags = "", list[str]()
    directions, pairs = [], []
    for batch in table.scan(None, _COLUMNS, 16):
        with table.reading():
            for one, new, rows, near, upto, check in zip(*(batch[name].to_pylist() for name in _COLUMNS), strict=True):
                if _check(one, new, rows, near, upto) != check:
                    raise table.failure("what is known of the neighbours of tags is damaged")
                of = one
                tags += map(restored, new)
                directions.append(np.frombuffer(rows, "<f4").astype(np.float32).reshape(len(new), -1))
                pairs.append(np.frombuffer(near, "<i4").astype(np.int32).reshape(2, -1))
    if not tags:
        return None
    return TagNeighbours(of, tuple(tags), np.concatenate(directions), np.concatenate(pairs, axis=1))


def keep_neighbours(table: Table, found: TagNeighbours) -> None:
    """Append what is new; what is kept of other tags, or by another embedder, gives way to it."""
    known, of, upto = 0, found.of, ""
    for batch in table.scan(None, ["of", "tags", "upto"], 16):
        for one, new, digest in zip(*(batch[name].to_pylist() for name in ("of", "tags", "upto")), strict=True):
            known, of, upto = known + len(new), one, digest
    if known and (of != found.of or known > len(found) or upto != _upto(found.tags[:known])):
        if of == found.of and known > len(found):
            return  # another process knew more
        table.remove_all()
        known = 0
    if known == len(found):
        return
    first = int(np.searchsorted(found.pairs.max(axis=0, initial=-1), known))
    values = (
        found.of,
        [storable(tag) for tag in found.tags[known:]],
        found.directions[known:].astype("<f4").tobytes(),
        found.pairs[:, first:].astype("<i4").tobytes(),
        _upto(found.tags),
    )
    table.append(iter([record_batch(_schema(), [[value] for value in (*values, _check(*values))])]), _schema())


def _upto(tags: Sequence[str]) -> str:
    return hashlib.sha256(json.dumps(list(tags)).encode()).hexdigest()


def _check(of: str, tags: Sequence[str], directions: bytes, pairs: bytes, upto: str) -> int:
    return zlib.crc32(pairs, zlib.crc32(directions, zlib.crc32(json.dumps([of, list(tags), upto]).encode())))


def _schema() -> pa.Schema:
    import pyarrow as pa

    return pa.schema(
        {
            "of": pa.string(),
            "tags": pa.list_(pa.large_string()),
            "directions": pa.large_binary(),
            "pairs": pa.large_binary(),
            "upto": pa.string(),
            "check": pa.uint32(),
        }
    )
