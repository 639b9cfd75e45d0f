"""Pictures for tests: small, and each one its own."""

from __future__ import annotations

from functools import partial
from hashlib import sha256
from io import BytesIO

from inscl.contract.example import Image

__all__ = ["image", "picture"]


def picture(number: int, form: str = "PNG", size: tuple[int, int] = (8, 8)) -> bytes:
    """A picture of noise, the same for the same number; `form` is Pillow's name of a format."""
    import numpy as np
    from PIL import Image as Pillow

    pixels = np.random.default_rng(number).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    stream = BytesIO()
    Pillow.fromarray(pixels).save(stream, form)
    return stream.getvalue()


def image(number: int, form: str = "PNG", size: tuple[int, int] = (8, 8)) -> Image:
    """The same as an example has it."""
    content = picture(number, form, size)
    return Image(f"{number}.{form.lower()}", sha256(content).hexdigest(), partial(bytes, content))
