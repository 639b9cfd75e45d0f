"""Summaries of tasks in the memory's table ``summaries``: one row a task, of which the last counts."""

from __future__ import annotations

import zlib
from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np

from inscl.contract.task_summary import TaskSummary
from inscl.storage.memory.rows import record_batch
from inscl.storage.memory.table import Table

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["forget", "keep", "read_summaries"]

# Each stage adds a file; this many are put together in one.
_FRAGMENTS = 32
_COLUMNS = ["task", "of", "spread", "weights", "points", "check"]


def read_summaries(table: Table) -> dict[str, TaskSummary]:
    """Key of a task -> its summary."""
    found: dict[str, TaskSummary] = {}
    for batch in table.scan(None, _COLUMNS, 64):
        with table.reading():
            for key, of, spread, weights, points, check in zip(
                *(batch[name].to_pylist() for name in _COLUMNS), strict=True
            ):
                if _check(key, of, spread, weights, points) != check:
                    raise table.failure("the summary of a task is damaged")
                masses = np.frombuffer(weights, "<f8").astype(np.float64)
                rows = np.frombuffer(points, "<f4").astype(np.float32).reshape(len(masses), -1)
                found[key] = TaskSummary(of, rows, masses, spread)
    return found


def keep(table: Table, summaries: Mapping[str, TaskSummary]) -> None:
    """Append what isn't kept yet, or otherwise; every so often write all as one fragment."""
    known = read_summaries(table)
    new = {key: one for key, one in summaries.items() if key not in known or known[key].of != one.of}
    if new and table.count_fragments() >= _FRAGMENTS:
        new = {**known, **new}
        table.remove_all()
    _append(table, new)


def forget(table: Table, keys: Collection[str]) -> None:
    """Write the summaries anew without those of some tasks."""
    known = read_summaries(table)
    kept = {key: one for key, one in known.items() if key not in keys}
    if len(kept) < len(known):
        table.remove_all()
        _append(table, kept)


def _append(table: Table, summaries: Mapping[str, TaskSummary]) -> None:
    schema = _schema()

    def batches() -> Iterator[pa.RecordBatch]:
        for key, one in summaries.items():
            weights, points = one.weights.astype("<f8").tobytes(), one.points.astype("<f4").tobytes()
            values = (key, one.of, float(one.spread), weights, points)
            yield record_batch(schema, [[value] for value in (*values, _check(*values))])

    table.append(batches(), schema)


def _check(key: str, of: str, spread: float, weights: bytes, points: bytes) -> int:
    return zlib.crc32(points, zlib.crc32(weights, zlib.crc32(f"{key}\n{of}\n{spread!r}".encode())))


def _schema() -> pa.Schema:
    import pyarrow as pa

    return pa.schema(
        {
            "task": pa.string(),
            "of": pa.string(),
            "spread": pa.float64(),
            "weights": pa.large_binary(),
            "points": pa.large_binary(),
            "check": pa.uint32(),
        }
    )
