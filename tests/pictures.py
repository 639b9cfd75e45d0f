"""Pictures for tests: small, and each one its own."""

from __future__ import annotations

from io import BytesIO

__all__ = ["picture"]


def picture(number: int, form: str = "PNG", size: tuple[int, int] = (8, 8)) -> bytes:
    """A picture of noise, the same for the same number; `form` is Pillow's name of a format."""
    import numpy as np
    from PIL import Image

    pixels = np.random.default_rng(number).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    stream = BytesIO()
    Image.fromarray(pixels).save(stream, form)
    return stream.getvalue()
