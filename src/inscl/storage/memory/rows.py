"""Converts tasks into rows of the memory's tables, and texts into values that Arrow can store."""

from __future__ import annotations

import hashlib
import json
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from inscl.contract import Example
from inscl.storage.memory.catalog import TaskEntry
from inscl.storage.memory.table import Table

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = [
    "CHARACTERS",
    "ROWS",
    "append_task",
    "batched",
    "column_digest",
    "record_batch",
    "restored",
    "row_check",
    "storable",
]

# A batch is at most this many rows and, but for a single larger row, this many characters.
ROWS, CHARACTERS = 1024, 1 << 22
_T = TypeVar("_T")
_COLUMNS_OF_ALL = frozenset({"task", "instruction", "input", "outputs", "source"})


def append_task(
    key: str,
    name: str,
    max_new_tokens: int | None,
    train: Iterable[Example],
    test: Iterable[Example],
    tables: Mapping[str, Table],
) -> TaskEntry:
    """Write a task's rows; they count when a catalog names them.

    Args:
        key: Its key.
        name: Its name.
        max_new_tokens: As in `Task`.
        train: Gone through twice, as is `test`.
        test: Likewise.
        tables: By name; ``examples`` and ``instructions`` are appended to.
    """
    carried: Counter[str] = Counter(example.instruction for example in train)
    texts = dict.fromkeys(chain(carried, (example.instruction for example in test)))
    numbers = {text: number for number, text in enumerate(texts)}
    writers = [_SplitWriter(key, "train", train, numbers), _SplitWriter(key, "test", test, numbers)]
    examples = tables["examples"].append(chain.from_iterable(writers), _examples_schema())
    counts = [(text, carried[text]) for text in texts]
    instructions = tables["instructions"].append(_instruction_batches(key, counts), _instructions_schema())
    digests = {"instructions": column_digest(counts), "distinct": str(len(carried))}
    for writer in writers:
        digests |= {f"{writer.split}.{column}": digest.hexdigest() for column, digest in writer.digests.items()}
    return TaskEntry(
        key=key,
        name=name,
        max_new_tokens=max_new_tokens,
        train=writers[0].rows,
        test=writers[1].rows,
        characters=sum(writer.characters for writer in writers),
        examples=examples,
        instructions=instructions,
        digests=digests,
    )


class _SplitWriter:
    """The batches of one split; once they are gone through, what they amounted to."""

    def __init__(self, key: str, split: str, examples: Iterable[Example], numbers: Mapping[str, int]) -> None:
        self.key, self.split, self.examples, self.numbers = key, split, examples, numbers
        self.rows = self.characters = 0
        self.digests = {"instruction": hashlib.sha256(), "id": hashlib.sha256()}

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        for part in batched(self.examples, _size):
            instructions = np.array([self.numbers[example.instruction] for example in part], np.int32)
            ids = np.array([int(example.id, 16) for example in part], np.uint64)
            self.rows += len(part)
            self.characters += sum(map(_size, part))
            self.digests["instruction"].update(instructions.tobytes())
            self.digests["id"].update(ids.tobytes())
            more = list(map(_more, part))
            columns = [
                [self.key] * len(part),
                ids,
                instructions,
                [storable(example.input) for example in part],
                [[storable(output) for output in example.outputs] for example in part],
                [storable(example.source) for example in part],
                more,
                [row_check([e.instruction, e.input, e.outputs, e.source, m]) for e, m in zip(part, more, strict=True)],
            ]
            yield record_batch(_examples_schema(), columns)


def _instruction_batches(key: str, counts: Iterable[tuple[str, int]]) -> Iterator[pa.RecordBatch]:
    for part in batched(counts, lambda row: len(row[0])):
        columns = [[key] * len(part), [storable(text) for text, _ in part], [count for _, count in part]]
        yield record_batch(_instructions_schema(), columns)


def record_batch(schema: pa.Schema, columns: Iterable[Any]) -> pa.RecordBatch:
    """Columns in the order of the schema as one batch."""
    import pyarrow as pa

    arrays = [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)]
    return pa.record_batch(arrays, schema=schema)


def batched(values: Iterable[_T], size: Callable[[_T], int]) -> Iterator[list[_T]]:
    """Values in lists of at most `ROWS`, and of about `CHARACTERS` by their sizes."""
    part: list[_T] = []
    characters = 0
    for value in values:
        part.append(value)
        characters += size(value)
        if len(part) == ROWS or characters >= CHARACTERS:
            yield part
            part, characters = [], 0
    if part:
        yield part


def _size(example: Example) -> int:
    return len(example.input) + sum(map(len, example.outputs)) + len(example.source) + len(_more(example))


def _more(example: Example) -> str:
    """What few examples have (turns, options, images, metadata, provenance), as JSON; empty for all others."""
    if not (example.turns or example.options or example.images or example.metadata or example.provenance):
        return ""
    return json.dumps({key: value for key, value in example.to_json().items() if key not in _COLUMNS_OF_ALL})


def row_check(content: object) -> int:
    """CRC-32 of a row's content: what tells a damaged row."""
    return zlib.crc32(json.dumps(content, ensure_ascii=True).encode())


def column_digest(values: object) -> str:
    """SHA-256 of a whole column: numbers as they lie in memory, anything else as JSON."""
    content = values.tobytes() if isinstance(values, np.ndarray) else json.dumps(values, ensure_ascii=True).encode()
    return hashlib.sha256(content).hexdigest()


def storable(text: str) -> str:
    """Arrow holds no lone surrogates: texts that have them, or begin with NUL, are kept as JSON behind a NUL."""
    if not text.startswith("\0"):
        try:
            text.encode()
        except UnicodeEncodeError:
            pass
        else:
            return text
    return "\0" + json.dumps(text)


def restored(text: str) -> str:
    """The inverse of `storable`."""
    return str(json.loads(text[1:])) if text.startswith("\0") else text


def _examples_schema() -> pa.Schema:
    import pyarrow as pa

    return pa.schema(
        {
            "task": pa.string(),
            "id": pa.uint64(),
            "instruction": pa.int32(),
            "input": pa.large_string(),
            "outputs": pa.list_(pa.large_string()),
            "source": pa.large_string(),
            "more": pa.large_string(),
            "check": pa.uint32(),
        }
    )


def _instructions_schema() -> pa.Schema:
    import pyarrow as pa

    return pa.schema({"task": pa.string(), "text": pa.large_string(), "train": pa.int32()})
