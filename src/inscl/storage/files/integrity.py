"""Checksums: they show whether a file is still, byte for byte, as written."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

__all__ = ["content_digest", "damaged", "digest", "digests", "seal", "sealed_value", "sync_folder"]

_FIELD = "sha256"


def digest(path: Path, *, durable: bool = False) -> str:
    """SHA-256 of a file's bytes, hexadecimal.

    Args:
        path: The file.
        durable: Also make sure that the bytes are on the disk: for files that others wrote.
    """
    state = hashlib.sha256()
    with path.open("rb") as file:
        while part := file.read(1 << 20):
            state.update(part)
        if durable:
            os.fsync(file.fileno())
    return state.hexdigest()


def digests(folder: Path, names: Iterable[str] | None = None, *, durable: bool = False) -> dict[str, str]:
    """The digest of every file under `folder`, by its path within it with forward slashes, in alphabetical order.

    Args:
        folder: What to look at.
        names: Only these files and folders in it, those that are there; None takes all.
        durable: As for `digest`.
    """
    roots = [folder] if names is None else [folder / name for name in names]
    files = [path for root in roots for path in ([root] if root.is_file() else root.rglob("*")) if path.is_file()]
    files = [path for path in sorted(files) if path.suffix != ".part"]  # an interrupted write's: nobody reads it
    found = {path.relative_to(folder).as_posix(): digest(path, durable=durable) for path in files}
    if durable:
        for parent in {path.parent for path in files}:
            sync_folder(parent)
    return found


def sync_folder(path: Path) -> None:
    """Make sure that the names in a folder are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def damaged(folder: Path, expected: Mapping[str, str | Sequence[str]]) -> dict[str, str]:
    """The files under `folder` that aren't as they were sealed: name -> ``is missing``, ``is damaged`` and how.

    Args:
        folder: What the names in `expected` start from.
        expected: Name -> digest, as `digests` gave it, or all the digests it may have.
    """
    found = {}
    for name, wanted in expected.items():
        path = folder / name
        try:
            if not path.is_file():
                found[name] = "is missing"
            elif digest(path) not in ([wanted] if isinstance(wanted, str) else wanted):
                found[name] = "is damaged: its checksum isn't the one it was written with"
        except OSError as error:
            found[name] = f"can't be read: {error.strerror or error}"
    return found


def content_digest(value: Any) -> str:
    """SHA-256 of a value as JSON, whatever the order of its keys."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def seal(value: Mapping[str, Any]) -> dict[str, Any]:
    """A JSON object with a checksum of itself."""
    bare = {key: item for key, item in value.items() if key != _FIELD}
    return {**bare, _FIELD: content_digest(bare)}


def sealed_value(value: Any) -> dict[str, Any] | None:
    """The object that `seal` was given; None if it isn't that any more, or never was sealed."""
    if not isinstance(value, dict) or _FIELD not in value:
        return None
    bare = {key: item for key, item in value.items() if key != _FIELD}
    return bare if value[_FIELD] == content_digest(bare) else None
