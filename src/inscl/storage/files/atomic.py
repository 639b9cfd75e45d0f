"""Atomic writing: a reader sees the complete old file or the complete new one, whatever happens in between."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from inscl.data.places import refuse_remote
from inscl.errors import WorkspaceError

__all__ = [
    "is_partial",
    "json_text",
    "jsonl_text",
    "read_json",
    "read_jsonl",
    "remove_partial",
    "write_json",
    "write_jsonl",
    "write_text",
]

REMEDY = "remove the file DONE of its stage, then give the same command again: the stage is then done again"
"""What to do about a damaged file of a stage."""


def write_text(path: Path, text: str) -> None:
    """Write `text` to `path` as UTF-8: temporary file in the same folder, fsync, rename, fsync of the folder.

    Raises:
        WorkspaceError: The disk is full or the folder can't be written; what stood at `path` is untouched.
        ConfigError: `path` is an address of object storage.
    """
    refuse_remote(path)
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:40]}.", suffix=".part")
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="\n", errors="surrogatepass") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        umask = os.umask(0)
        os.umask(umask)
        Path(temporary).chmod(0o666 & ~umask)
        Path(temporary).replace(path)
        temporary = None
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise WorkspaceError(
            f"can't write {path}: {error.strerror or error}. Nothing was lost: free space or permissions there, then "
            "give the same command again."
        ) from error
    finally:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)


def is_partial(name: str) -> bool:
    """Whether a file of that name is what a killed `write_text` leaves; nothing reads it."""
    return name.startswith(".") and name.endswith(".part")


def remove_partial(folder: Path) -> None:
    """Delete what killed writers left in `folder`; only while nobody else writes there."""
    for path in folder.glob(".*.part"):
        path.unlink(missing_ok=True)


def write_json(path: Path, value: Any) -> None:
    """Write `value` as JSON, atomically. NaN and infinities are refused: a missing number is None or absent."""
    write_text(path, json_text(value))


def json_text(value: Any) -> str:
    """What `write_json` writes."""
    return json.dumps(value, ensure_ascii=False, indent=1, allow_nan=False) + "\n"


def write_jsonl(path: Path, rows: Iterable[Any]) -> None:
    """Write one JSON value a line, atomically."""
    write_text(path, jsonl_text(rows))


def jsonl_text(rows: Iterable[Any]) -> str:
    """What `write_jsonl` writes."""
    return "".join(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n" for row in rows)


def read_json(path: Path) -> Any:
    """Read a JSON file that inscl wrote.

    Raises:
        WorkspaceError: The file is missing, unreadable or damaged.
    """
    try:
        return json.loads(path.read_bytes().decode("utf-8", errors="surrogatepass"))
    except OSError as error:
        raise WorkspaceError(f"can't read {path}: {error.strerror or error}") from error
    except ValueError as error:
        raise WorkspaceError(f"{path} is damaged ({error}): {REMEDY}") from error


def read_jsonl(path: Path) -> list[Any]:
    """Read a JSON-lines file that inscl wrote; errors as for `read_json`."""
    try:
        lines = path.read_bytes().decode("utf-8", errors="surrogatepass").split("\n")
        return [json.loads(line) for line in lines if line]
    except OSError as error:
        raise WorkspaceError(f"can't read {path}: {error.strerror or error}") from error
    except ValueError as error:
        raise WorkspaceError(f"{path} is damaged ({error}): {REMEDY}") from error
