"""The JSON files of published benchmarks, and the texts in them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from inscl.data.readers.rows import read_bytes
from inscl.errors import DataError

__all__ = ["read_json", "text_of", "texts_of"]


def read_json(path: Path) -> Any:
    """The content of a JSON file of a benchmark.

    Natural-instructions files hold NaN in fields that nobody needs, so this is not the strict parser of other data.

    Raises:
        DataError: The file is missing, empty, not UTF-8 or not JSON.
    """
    try:
        return json.loads(read_bytes(path).decode("utf-8-sig"))
    except json.JSONDecodeError as error:
        raise DataError(f"invalid JSON: {error.msg} (is the download complete?)", path, error.lineno) from error
    except UnicodeDecodeError as error:
        raise DataError(f"not UTF-8 text (byte {error.start + 1})", path) from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"invalid JSON: {error}", path) from error


def text_of(row: Any, key: str, path: Path, number: int | None = None) -> str:
    """The text under `key`.

    Args:
        row: What should be an object.
        key: Where the text stands.
        path: The file, for the message.
        number: 1-based number of the row in it, likewise; None where `row` is the file's whole content.

    Raises:
        DataError: `row` is no object, has no such key, or holds no text there.
    """
    if not isinstance(row, dict) or not isinstance(row.get(key), str):
        place = "" if number is None else f"row {number}: "
        raise DataError(f"{place}an object with a text {key!r} was expected; {_found(row, key)}", path)
    return str(row[key])


def texts_of(row: Any, key: str, path: Path, number: int | None = None) -> tuple[str, ...]:
    """The text, or list of texts, under `key`: references come as either. Arguments and errors as in `text_of`."""
    value = row.get(key) if isinstance(row, dict) else None
    if isinstance(value, list) and all(isinstance(text, str) for text in value):
        return tuple(value)
    return (text_of(row, key, path, number),)


def _found(row: Any, key: str) -> str:
    if not isinstance(row, dict):
        return f"this is a JSON {type(row).__name__}"
    return f"it holds {type(row[key]).__name__}" if key in row else f"there are: {', '.join(map(str, row)) or 'none'}"
