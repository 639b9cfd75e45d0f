"""Writes the pictures of examples beside a data file, each once, so that its rows can name them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from inscl.contract import Example
from inscl.contract.example import Image
from inscl.data.writing import write_bytes

__all__ = ["FOLDER", "is_picture_file", "picture_names", "pictures_of", "unused_pictures", "write_pictures"]

FOLDER = "images"
_NAME = re.compile(rf"(?:{FOLDER}/)?([0-9a-f]{{64}})(?:\.[a-z]+)?")
# How the formats that are read begin.
_SUFFIXES = {
    b"\x89PNG": ".png",
    b"\xff\xd8": ".jpg",
    b"RIFF": ".webp",
    b"GIF8": ".gif",
    b"BM": ".bmp",
    b"II*\0": ".tiff",
    b"MM\0*": ".tiff",
}


def write_pictures(folder: Path, examples: Iterable[Example]) -> dict[str, str]:
    """Write every picture of the examples into a subfolder `FOLDER`, named after its content.

    Args:
        folder: Where the data file stands or will stand.
        examples: One picture is in memory at a time. Without any picture nothing is made.

    Returns:
        Digest -> path of the file in `folder`, with forward slashes.

    Raises:
        DataError: A picture can't be read any more, or has changed.
        WorkspaceError: One can't be written.
    """
    names: dict[str, str] = {}
    for image, content in _distinct(examples):
        names[image.digest] = _name(image, content)
        path = folder / names[image.digest]
        if not path.is_file() or path.read_bytes() != content:
            write_bytes(path, content)
    return names


def picture_names(examples: Iterable[Example]) -> dict[str, str]:
    """What `write_pictures` returns for the same examples; nothing is written. Errors as there."""
    return {image.digest: _name(image, content) for image, content in _distinct(examples)}


def _distinct(examples: Iterable[Example]) -> Iterator[tuple[Image, bytes]]:
    seen: set[str] = set()
    for image in (image for example in examples for image in example.images):
        if image.digest not in seen:
            seen.add(image.digest)
            yield image, image.content


def _name(image: Image, content: bytes) -> str:
    suffix = next((ending for start, ending in _SUFFIXES.items() if content.startswith(start)), "")
    return f"{FOLDER}/{image.digest}{suffix}"


def is_picture_file(path: Path) -> bool:
    """Whether `write_pictures` may have written this file."""
    return path.parent.name == FOLDER and _NAME.fullmatch(path.name) is not None


def pictures_of(row: Mapping[str, Any]) -> Iterator[str]:
    """The digests of the pictures of a row, whether it names files of `write_pictures` or is an example's JSON."""
    named = row.get("images")
    for one in named if isinstance(named, list) else ():
        if isinstance(one, Mapping):
            yield str(one.get("sha256", ""))
        elif isinstance(one, str) and (found := _NAME.fullmatch(one)):
            yield found[1]


def unused_pictures(folder: Path, rows: Iterable[Mapping[str, Any]]) -> list[Path]:
    """The files that `write_pictures` wrote into a folder and none of these rows names any more."""
    if not (folder / FOLDER).is_dir():
        return []
    used = {digest for row in rows for digest in pictures_of(row)}
    return [file for file in (folder / FOLDER).iterdir() if is_picture_file(file) and file.name[:64] not in used]
