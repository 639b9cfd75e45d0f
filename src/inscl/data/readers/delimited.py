"""CSV and TSV: a header line, then a record a row."""

from __future__ import annotations

import contextlib
import csv
import io
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from inscl.data.readers.json_values import parse
from inscl.data.readers.rows import Row, is_junk, listed, read_text
from inscl.errors import DataError

__all__ = ["read_delimited"]


def read_delimited(path: Path) -> Iterator[Row]:
    """Rows of a CSV file (of a TSV file, where the name ends so); `Row.line` is the line on which a record starts.

    Every value is text. A column ``outputs`` may hold a JSON array of reference answers. Quoted fields may hold line
    breaks and may be of any size.

    Raises:
        DataError: There is no header, a column name stands twice, or the quotes don't close.
    """
    # newline="" keeps the line breaks inside quoted fields as they are.
    text = io.StringIO(read_text(path), newline="")
    delimiter = "\t" if path.suffix.lower() == ".tsv" else ","
    reader = csv.reader(text, delimiter=delimiter, strict=True)
    # The limit is one for the whole process and 128 KiB by default; it only guards memory that is already used.
    limit = csv.field_size_limit(min(sys.maxsize, 2**31 - 1))
    try:
        header = _header(next(reader, []), path)
        start = reader.line_num + 1
        for cells in reader:
            if cells:
                yield _row(start, header, cells, delimiter)
            start = reader.line_num + 1
    except csv.Error as error:
        raise DataError(f"this is not valid CSV: {error} (is a quote not closed?)", path, reader.line_num) from error
    finally:
        csv.field_size_limit(limit)


def _header(names: list[str], path: Path) -> list[str]:
    if not any(name.strip() for name in names) or any(is_junk(name) for name in names):
        raise DataError("a header line with the names of the columns was expected", path, 1)
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(f"these column names stand twice: {listed(twice)}", path, 1)
    return names


def _row(line: int, header: list[str], cells: list[str], delimiter: str) -> Row:
    raw = delimiter.join(cells)
    if any(is_junk(cell) for cell in cells):
        return Row(
            line, {}, "not UTF-8 text", raw.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
        )
    if len(cells) != len(header):
        return Row(line, {}, f"{len(header)} fields were expected ({listed(header)}), there are {len(cells)}", raw)
    values: dict[str, Any] = dict(zip(header, cells, strict=True))
    references = values.get("outputs", "")
    if references.startswith("["):
        with contextlib.suppress(ValueError):  # then it is an answer that happens to start with a bracket
            values["outputs"] = parse(references)
    return Row(line, values)
