"""Parquet."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from inscl.data.quoting import excerpt
from inscl.data.readers.class_labels import classes_in, features_of_metadata, named
from inscl.data.readers.rows import LARGEST_FILE, Row, listed, read_bytes
from inscl.errors import DataError

__all__ = ["read_parquet"]

_ROWS_AT_A_TIME = 64


def read_parquet(path: Path) -> Iterator[Row]:
    """Rows of a Parquet file; `Row.line` counts them from 1. List columns stay lists, so references are kept.

    A class label that `datasets` described in the file's schema is read as its name.

    Raises:
        DataError: This is not a Parquet file, a damaged one, or one that unpacks to more than `LARGEST_FILE`.
    """
    import pyarrow as arrow
    from pyarrow import parquet

    content = read_bytes(path)
    number = unpacked = 0
    try:
        file = parquet.ParquetFile(arrow.BufferReader(content))
        _check_columns(file.schema_arrow.names, path)
        classes = classes_in(features_of_metadata(file.schema_arrow.metadata))
        # Few rows at a time: a page of some bytes can stand for thousands of large texts.
        for batch in file.iter_batches(batch_size=_ROWS_AT_A_TIME):
            # A column may keep each of its values once, and say for every row which one it is.
            dense = [
                column.dictionary_decode() if arrow.types.is_dictionary(column.type) else column
                for column in batch.columns
            ]
            unpacked += sum(column.nbytes for column in dense)
            if unpacked > LARGEST_FILE:
                raise DataError(f"its rows unpack to more than {LARGEST_FILE:,} bytes: divide it", path, number)
            for values in batch.to_pylist():
                number += 1
                yield Row(number, named(values, classes), classes=classes)
    # Besides its own errors the library raises Python's, for dates and texts that Python can't hold.
    except (arrow.ArrowException, OSError, ValueError, ArithmeticError, LookupError, TypeError) as error:
        reason = excerpt(str(error).split("\n", 1)[0] or type(error).__name__, 200)[1:-1]
        raise DataError(f"can't be read as Parquet: {reason}", path) from error


def _check_columns(names: list[str], path: Path) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(f"these column names stand twice: {listed(twice)}", path)
