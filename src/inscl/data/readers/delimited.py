"""CSV and TSV: a header line, then a record a row."""

from __future__ import annotations

import contextlib
import csv
import io
import re
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from inscl.data.readers.compression import format_suffix
from inscl.data.readers.json_values import parse
from inscl.data.readers.rows import Row, is_junk, listed, read_text
from inscl.errors import DataError

__all__ = ["SEPARATORS", "read_delimited"]


SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "vertical bar"}
_LOOKED_AT = 2**16  # characters, of which the first rows tell the separator
_SAID = re.compile(r"sep=([,;:|\t])\r?\n", re.IGNORECASE)


def read_delimited(path: Path) -> Iterator[Row]:
    """Rows of a CSV or TSV file; `Row.line` is the line on which a record starts.

    The separator is a comma, or a tab where the name says TSV, unless the first rows tell another one of `SEPARATORS`;
    then a note says which. Every value is text. A column ``outputs`` may hold a JSON array of reference answers.
    Quoted fields may hold line breaks and may be of any size.

    Raises:
        DataError: There is no header, a column name stands twice, or the quotes don't close.
    """
    content = read_text(path)
    usual = "\t" if format_suffix(path) == ".tsv" else ","
    # The limit is one for the whole process and 128 KiB by default; it only guards memory that is already used.
    limit = csv.field_size_limit(min(sys.maxsize, 2**31 - 1))
    said = _SAID.match(content)  # the line that Excel understands
    before, skipped = (1, said.end()) if said else (0, 0)
    line = before + 1
    try:
        delimiter = said[1] if said else _separator(content[:_LOOKED_AT], usual)
        notes = () if delimiter == usual else (f"its separator is a {SEPARATORS.get(delimiter, repr(delimiter))}",)
        # newline="" keeps the line breaks inside quoted fields as they are.
        text = io.StringIO(content[skipped:], newline="")
        reader = csv.reader(text, delimiter=delimiter, strict=True, skipinitialspace=_spaced(content, delimiter))
        header = _header(next(reader, []), path)
        line = before + reader.line_num + 1
        for cells in reader:
            if cells:
                row = _row(line, header, cells, delimiter)
                yield replace(row, notes=notes) if notes else row
                notes = ()
            line = before + reader.line_num + 1
    except csv.Error as error:
        raise DataError(f"this is not valid CSV: {error} (is a quote not closed?)", path, line) from error
    finally:
        csv.field_size_limit(limit)


def _separator(text: str, usual: str) -> str:
    """The separator by which the first rows are most alike, of those that divide the header; else the usual one."""
    return max(SEPARATORS, key=lambda separator: _fit(text, separator, usual))


def _fit(text: str, separator: str, usual: str) -> tuple[bool, float, bool, int]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    widths: list[int] = []
    with contextlib.suppress(csv.Error):  # the last of these rows may be cut, or quotes not close by this separator
        widths = [len(cells) for cells, _ in zip(reader, range(20), strict=False) if cells]
    columns = widths[0] if widths else 0
    alike = sum(width == columns for width in widths[1:]) / max(1, len(widths) - 1)
    return columns > 1, alike, separator == usual, columns


def _spaced(text: str, delimiter: str) -> bool:
    """Whether a space follows every separator in the header, so that it belongs to none of the values."""
    first = text.split("\n", 1)[0]
    return delimiter not in "\t" and 0 < first.count(delimiter) == first.count(f"{delimiter} ")


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
