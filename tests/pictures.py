"""Pictures for tests: small, and each one its own."""

from __future__ import annotations

import json
from functools import partial
from hashlib import sha256
from io import BytesIO
from pathlib import Path

from inscl.contract.example import Image

__all__ = ["image", "picture", "picture_stream"]


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


def picture_stream(folder: Path) -> Path:
    """Two tasks about ten pictures each, one of texts alone; rows k and k + 10 show the same."""
    (folder / "pics").mkdir(parents=True)
    for task, first in (("names", 0), ("sizes", 10)):
        rows = []
        for k in range(20):
            (folder / "pics" / f"{first + k % 10}.png").write_bytes(picture(first + k % 10))
            asked = {"instruction": f"The {task}, please.", "input": f"no. {k}", "output": f"{task[0]}{k % 3}"}
            rows.append({**asked, "image": f"pics/{first + k % 10}.png"})
        (folder / f"{task}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    words = [{"instruction": "Again.", "input": f"w{k}", "output": f"w{k}"} for k in range(10)]
    (folder / "words.jsonl").write_text("".join(json.dumps(row) + "\n" for row in words))
    return folder
