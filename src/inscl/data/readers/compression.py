"""Compressed data files, told by the end of their names and unpacked within limits."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, cast

from inscl.errors import DataError

__all__ = ["COMPRESSIONS", "format_suffix", "unpack"]

LARGEST_RATIO = 250
"""Bytes that a byte of a file may stand for, once more than `UNSUSPICIOUS` have been unpacked."""
UNSUSPICIOUS = 2**28
_PIECE = 2**20
_MAGIC = {b"\x1f\x8b": ".gz", b"\xfd7zXZ\0": ".xz", b"\x28\xb5\x2f\xfd": ".zst", b"PK\x03\x04": ".zip"}


def _open_zstd(packed: BinaryIO) -> BinaryIO:
    import pyarrow

    return cast(BinaryIO, pyarrow.CompressedInputStream(pyarrow.PythonFile(packed, mode="r"), "zstd"))


COMPRESSIONS: dict[str, Callable[[BinaryIO], BinaryIO]] = {
    ".gz": lambda packed: cast(BinaryIO, gzip.GzipFile(fileobj=packed)),
    ".bz2": lambda packed: cast(BinaryIO, bz2.BZ2File(packed)),
    ".xz": lambda packed: cast(BinaryIO, lzma.LZMAFile(packed)),  # noqa: SIM115 - whoever calls it closes it
    ".zst": _open_zstd,
}


def format_suffix(path: Path) -> str:
    """The last suffix of a file's name that isn't a compression's, in lower case."""
    return Path(path.stem).suffix.lower() if path.suffix.lower() in COMPRESSIONS else path.suffix.lower()


def unpack(content: bytes, path: Path, largest: int) -> bytes:
    """What a file holds, where its name says that it is compressed; else its content.

    Args:
        content: The file's bytes.
        path: Its name.
        largest: Most bytes that it may hold.

    Raises:
        DataError: It is damaged, not what its name says, holds more than `largest`, or few bytes that become very many;
            or it is compressed and its name doesn't say so.
    """
    suffix = path.suffix.lower()
    magic = next((name for start, name in _MAGIC.items() if content.startswith(start)), "")
    if suffix not in COMPRESSIONS:
        if magic:
            named = f"name it {path.name}{magic}" if magic in COMPRESSIONS else "unpack it"
            raise DataError(f"the file is compressed, and its name doesn't say so; {named}", path)
        return content
    if magic and magic != suffix:
        raise DataError(f"this is no {suffix} file; is it damaged, or not compressed?", path)
    unpacked = io.BytesIO()
    try:
        with COMPRESSIONS[suffix](io.BytesIO(content)) as stream:
            while piece := stream.read(_PIECE):
                unpacked.write(piece)
                size = unpacked.tell()
                if size > largest:
                    raise DataError(f"it unpacks to more than {largest:,} bytes: divide it", path)
                if size > UNSUSPICIOUS and size > LARGEST_RATIO * len(content):
                    raise DataError(
                        f"its {len(content):,} bytes unpack to more than {UNSUSPICIOUS:,}, each to more than "
                        f"{LARGEST_RATIO}: unpack it yourself if that is right",
                        path,
                    )
    except (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError) as error:
        raise DataError(f"can't be unpacked, it is damaged or incomplete: {error}", path) from error
    return unpacked.getvalue()
