"""What every reader yields: rows with the place they stand in, the bad ones among them."""

from __future__ import annotations

import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from inscl.data.quoting import excerpt
from inscl.data.readers.compression import unpack
from inscl.errors import DataError

__all__ = ["LARGEST_FILE", "Row", "is_junk", "listed", "read_bytes", "read_text"]

LARGEST_FILE = 4 * 2**30
"""Bytes of a data file, and of what a compressed one holds; a file is read whole."""


@dataclass(frozen=True)
class Row:
    """One row of a data file.

    Attributes:
        line: 1-based line of the file, or 1-based row where the format has no lines.
        values: Column -> value; empty when the row can't be read.
        problem: Why it can't be read; empty when it can.
        raw: The text of a row that can't be read.
        split: The split it belongs to, where the format says so itself.
        classes: Column, or dotted path inside one -> the names of its classes, where the format says them.
        notes: What the reader noticed about the file on the way to this row.
    """

    line: int
    values: Mapping[str, Any]
    problem: str = ""
    raw: str = ""
    split: str = ""
    classes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def read_bytes(path: Path) -> bytes:
    """The content of `path`, unpacked where its name says that it is compressed.

    Raises:
        DataError: It is missing, empty, a folder or a device, too large, damaged, or may not be read.
    """
    try:
        kind = path.stat()
        # A pipe or a device may never end.
        if not stat.S_ISREG(kind.st_mode) and not stat.S_ISDIR(kind.st_mode):
            raise DataError("this is no ordinary file; a data file was expected", path)
        if kind.st_size > LARGEST_FILE:
            raise DataError(f"the file has {kind.st_size:,} bytes; at most {LARGEST_FILE:,} are read: divide it", path)
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise DataError("there is no such file", path) from error
    except IsADirectoryError as error:
        raise DataError("this is a folder; a data file was expected", path) from error
    except PermissionError as error:
        raise DataError("you have no permission to read this file", path) from error
    except OSError as error:
        raise DataError(f"can't be read: {error.strerror or error}", path) from error
    if not content:
        raise DataError("the file is empty; at least one row was expected", path)
    content = unpack(content, path, LARGEST_FILE)
    if not content:
        raise DataError("nothing is in this compressed file; at least one row was expected", path)
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise DataError("the file is UTF-16; save it as UTF-8", path)
    return content


def read_text(path: Path) -> str:
    """The content of `path` as text, without a byte order mark. Bytes that are not UTF-8 become U+DC80..U+DCFF.

    A reader looks for those with `is_junk`, so that one bad byte costs one row and not the file.
    """
    return read_bytes(path).removeprefix(b"\xef\xbb\xbf").decode("utf-8", errors="surrogateescape")


def is_junk(text: str) -> bool:
    """Whether `text` came from bytes that are not UTF-8 (see `read_text`) or holds NUL."""
    return "\0" in text or (not text.isascii() and any("\udc80" <= character <= "\udcff" for character in text))


def listed(names: Iterable[object]) -> str:
    """Names from someone's data for a message: short ones, and not too many of them."""
    shown = [excerpt(str(name), 40)[1:-1] for name in names]
    return ", ".join(shown[:20]) + (f", … ({len(shown)} in all)" if len(shown) > 20 else "")
