"""Pictures of examples as the page shows them: small, inside the page itself, and not too many."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

from markupsafe import Markup

from inscl.contract import Example
from inscl.contract.example import Image
from inscl.data.pictures import FORMATS, check_picture, upright
from inscl.errors import InsclError
from inscl.reports.text import plain
from inscl.storage.memory.store import MemoryStore

__all__ = ["PER_EXAMPLE", "SIDE", "Thumbnails"]

SIDE = 96
"""Longest side of a thumbnail, pixels."""
PER_EXAMPLE = 4
_QUALITY = 80


class Thumbnails:
    """Draws the pictures of one page; each distinct one is decoded once.

    A picture that isn't drawn stands there by its name, with the reason: too many on the page, erased meanwhile, or
    Pillow isn't installed.

    Args:
        most: How many distinct pictures the page shows.
    """

    def __init__(self, most: int) -> None:
        self._left = most
        self._drawn: dict[str, Markup] = {}
        self._stores: dict[Path, MemoryStore] = {}

    def of(self, folder: Path, images: Sequence[Image]) -> Markup:
        """The pictures of an example, as HTML.

        Args:
            folder: The run whose memory holds their bytes.
            images: With name and digest.
        """
        parts = [self._one(folder, image) for image in images[:PER_EXAMPLE]]
        if len(images) > PER_EXAMPLE:
            parts.append(Markup('<span class="quiet">and {} more</span>').format(len(images) - PER_EXAMPLE))
        return Markup(" ").join(parts)

    def _one(self, folder: Path, image: Image) -> Markup:
        name = plain(image.path, 60)
        if image.digest not in self._drawn:
            if not self._left:
                return _named(name, "not shown")
            self._left -= 1
            self._drawn[image.digest] = self._draw(folder, image)
        drawn = self._drawn[image.digest]
        return drawn.format(name) if drawn else _named(name, "not at hand")

    def _draw(self, folder: Path, image: Image) -> Markup:
        """HTML with a place for the name; empty where the picture can't be drawn."""
        store = self._stores.setdefault(folder, MemoryStore(folder / "memory"))
        try:
            (kept,) = store.with_pictures(Example("", "", ("",), images=(image,))).images
            content = kept.content
            check_picture(content, image.path)  # the folder may come from anybody
            return _html(content)
        except (InsclError, ValueError):
            return Markup("")


def _named(name: str, why: str) -> Markup:
    return Markup('<span class="quiet">[<bdi>{}</bdi>, {}]</span>').format(name, why)


def _html(content: bytes) -> Markup:
    from PIL import Image as Pillow

    with Pillow.open(BytesIO(content), formats=FORMATS) as picture:
        picture.draft("RGB", (SIDE, SIDE))
        small = upright(picture)
        small.thumbnail((SIDE, SIDE))
        if small.has_transparency_data:
            paper = Pillow.new("RGBA", small.size, "white")
            paper.alpha_composite(small.convert("RGBA"))
            small = paper
        small = small.convert("RGB")
    stream = BytesIO()
    small.save(stream, "JPEG", quality=_QUALITY)
    data = base64.b64encode(stream.getvalue()).decode()
    # The braces that are left take the name, which is then escaped.
    said = f'<img class="picture" src="data:image/jpeg;base64,{data}" width="{small.width}" height="{small.height}"'
    return Markup(said + ' alt="{}">')
