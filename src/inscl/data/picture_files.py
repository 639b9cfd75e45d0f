"""Writes the pictures of examples beside a data file, each once, so that its rows can name them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from inscl.contract import Example
from inscl.data.writing import write_bytes

__all__ = ["FOLDER", "write_pictures"]

FOLDER = "images"
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
    for image in (image for example in examples for image in example.images):
        if image.digest in names:
            continue
        content = image.content
        suffix = next((ending for start, ending in _SUFFIXES.items() if content.startswith(start)), "")
        names[image.digest] = f"{FOLDER}/{image.digest}{suffix}"
        path = folder / names[image.digest]
        if not path.is_file() or path.read_bytes() != content:
            write_bytes(path, content)
    return names
