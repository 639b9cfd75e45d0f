"""Pictures of a data file: found beside it or in it, and checked before anything decodes them."""

from __future__ import annotations

import hashlib
import stat
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

from inscl.contract.example import Image
from inscl.data.columns import RowProblem, decoded
from inscl.data.quoting import excerpt
from inscl.errors import DataError, MissingExtraError

__all__ = [
    "FORMATS",
    "LARGEST_PICTURE",
    "MOST_PIXELS",
    "PictureReader",
    "check_picture",
    "given_pictures",
    "read_picture",
    "upright",
]

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")
LARGEST_PICTURE = 64 * 2**20
"""Bytes of a picture."""
MOST_PIXELS = 2**26
"""Pixels of a picture, width times height, as its header says them: nothing larger is ever decoded."""
_LEFT_OUT = "`columns: {images: '='}` leaves pictures out"


class PictureReader:
    """Reads the pictures that the rows of one data file name, each only once.

    Args:
        folder: The folder in which they must lie: that of the data file; None where it is no file here.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._files: dict[Path, Image] = {}
        self._bytes: dict[str, bytes] = {}

    def read(self, given: Iterable[Any]) -> tuple[Image, ...]:
        """The pictures of a row, checked; their bytes are read again when they are needed.

        Args:
            given: Each a path, bytes, or a mapping with ``bytes`` or ``path``, as `datasets` has it.

        Raises:
            RowProblem: One of them is missing, outside the folder, too large, or no still picture that can be decoded.
            MissingExtraError: Pillow isn't installed.
        """
        return tuple(map(self._image, given))

    def _image(self, given: Any) -> Image:
        name, content, digest = given, None, None
        if isinstance(given, Mapping):
            name, content, digest = given.get("path"), given.get("bytes"), given.get("sha256")
        elif isinstance(given, (bytes, bytearray)):
            name, content = None, given
        if isinstance(content, (bytes, bytearray)):
            image = self._held(bytes(content), name if isinstance(name, str) else "")
        elif isinstance(name, str) and name.strip():
            image = self._beside(name)
        else:
            kind = "a mapping without path and bytes" if isinstance(given, Mapping) else type(given).__name__
            raise RowProblem(f"a picture is {kind}; a path, or bytes, was expected. {_LEFT_OUT}")
        if digest is not None and digest != image.digest:
            raise RowProblem(f"the picture {excerpt(image.path)} is not the one that its sha256 names")
        return image

    def _held(self, content: bytes, name: str) -> Image:
        """A picture whose bytes stand in the data file itself."""
        digest = hashlib.sha256(content).hexdigest()
        label = name or digest[:12]
        if digest not in self._bytes:
            check_picture(content, label)
            self._bytes[digest] = content
        return Image(label, digest, partial(bytes, self._bytes[digest]))

    def _beside(self, name: str) -> Image:
        """A picture in a file of its own."""
        path = self._inside(name)
        if path not in self._files:
            content = _read(path, name)
            check_picture(content, name)
            self._files[path] = Image(name, hashlib.sha256(content).hexdigest(), partial(Path.read_bytes, path))
        found = self._files[path]
        return Image(name, found.digest, found.read)

    def _inside(self, name: str) -> Path:
        shown = excerpt(name)
        if "://" in name[:20] or name.startswith("data:"):
            raise RowProblem(f"the picture {shown} is an address; save it beside the data file. {_LEFT_OUT}")
        if self._folder is None:
            raise RowProblem(
                f"the picture {shown} is not in the data set, only its path is: `save_to_disk` of the library datasets "
                f"puts the bytes in. {_LEFT_OUT}"
            )
        try:
            folder, path = self._folder.resolve(), (self._folder / name).resolve()
        except (OSError, ValueError, RuntimeError) as error:  # NUL, too long, links in a circle
            raise RowProblem(f"the picture {shown} has no name that a file can have: {error}") from error
        if not path.is_relative_to(folder):
            raise RowProblem(
                f"the picture {shown} lies outside the data file's folder {folder}; only pictures in it are read: move "
                f"them there, or the data file up. {_LEFT_OUT}"
            )
        return path


def read_picture(path: Path) -> Image:
    """One picture, wherever it lies, checked as those of a stream are.

    Raises:
        DataError: It is missing, too large, or no still picture that can be decoded.
        MissingExtraError: Pillow isn't installed.
    """
    try:
        real = path.resolve()  # the user names it, so a link leads wherever it leads
        (image,) = PictureReader(real.parent).read([real.name])
    except RowProblem as problem:
        raise DataError(str(problem).removesuffix(f" {_LEFT_OUT}"), path) from problem
    except (OSError, ValueError, RuntimeError) as error:  # NUL, too long, links in a circle
        raise DataError(f"no name that a file can have: {error}", path) from error
    return replace(image, path=path.name)


def upright(picture: Any) -> Any:
    """A picture of Pillow, turned as its EXIF data say; as it is where those can't be read, which is common."""
    from PIL import ImageOps

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return ImageOps.exif_transpose(picture)
        except Exception:  # noqa: BLE001 - SyntaxError, struct.error: whatever the damage leads to
            return picture


def given_pictures(value: Any) -> list[Any]:
    """The pictures that a column holds: one, a list, or JSON text of a list; none where it is empty."""
    value = decoded(value)
    if isinstance(value, (list, tuple)):
        return [one for one in value if one is not None]
    return [] if _is_nothing(value) else [value]


def _is_nothing(value: Any) -> bool:
    if isinstance(value, Mapping):  # as `datasets` says that a row has no picture
        return all(part is None for part in value.values())
    return value is None or (isinstance(value, (str, bytes)) and not value.strip())


def check_picture(content: bytes, name: str) -> None:
    """Refuse what is no picture that can be learned from.

    Size and number of pixels are looked at before anything is decoded; then it is decoded once, so that a damaged one
    is found now and not in the middle of training. A JPEG with several views (MPO) counts as its first view.

    Args:
        content: The picture's bytes.
        name: What it is called, for messages.

    Raises:
        RowProblem: It is too large, of no format in `FORMATS`, animated, of several pages, damaged, or incomplete.
        MissingExtraError: Pillow isn't installed.
    """
    try:
        from PIL import Image as Pillow
        from PIL import UnidentifiedImageError
    except ImportError as error:
        raise MissingExtraError("reading pictures", "images", "pillow") from error
    shown = excerpt(name)
    if len(content) > LARGEST_PICTURE:
        raise RowProblem(f"the picture {shown} has {len(content):,} bytes; at most {LARGEST_PICTURE:,} are read")
    too_many = f"the picture {shown} has more than {MOST_PIXELS:,} pixels; make it smaller"
    try:
        with warnings.catch_warnings():
            # Pillow warns of odd metadata, too; its own limit of pixels is above this one, or the user's.
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Pillow.DecompressionBombWarning)
            with Pillow.open(BytesIO(content), formats=FORMATS) as picture:
                if picture.width * picture.height > MOST_PIXELS:
                    raise RowProblem(too_many)
                if picture.format != "MPO" and getattr(picture, "is_animated", False):
                    raise RowProblem(f"the picture {shown} has several frames or pages; one still was expected")
                picture.draft("L", (1, 1))  # a JPEG is decoded at an eighth of its size; others pass this over
                picture.load()
    except RowProblem:
        raise
    except (Pillow.DecompressionBombWarning, Pillow.DecompressionBombError) as error:
        raise RowProblem(too_many) from error
    except UnidentifiedImageError as error:
        expected = f"{', '.join(FORMATS[:-1])} or {FORMATS[-1]}"
        raise RowProblem(f"{shown} is no picture that can be read; {expected} was expected. {_LEFT_OUT}") from error
    except Exception as error:  # decoders raise whatever the damage leads them to
        reason = excerpt(str(error) or type(error).__name__, 120)[1:-1]
        raise RowProblem(f"the picture {shown} is damaged or incomplete: {reason}") from error


def _read(path: Path, name: str) -> bytes:
    shown = excerpt(name)
    try:
        kind = path.stat()
        if not stat.S_ISREG(kind.st_mode):
            raise RowProblem(f"the picture {shown} is no ordinary file")
        if kind.st_size > LARGEST_PICTURE:
            raise RowProblem(f"the picture {shown} has {kind.st_size:,} bytes; at most {LARGEST_PICTURE:,} are read")
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError) as error:
        where = excerpt(str(path.parent), 200)[1:-1]  # a picture in base64 may pass for a long path
        raise RowProblem(f"there is no picture {shown} in {where}. {_LEFT_OUT}") from error
    except OSError as error:
        raise RowProblem(f"the picture {shown} can't be read: {error.strerror or error}") from error
