from __future__ import annotations

import base64
import html
import re
import sys
from collections.abc import Callable
from functools import partial
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image as Pillow

from inscl.contract import Example, Task
from inscl.contract.example import Image
from inscl.data import pictures as checks
from inscl.reports import write_report
from inscl.reports.page import MOST_BYTES
from inscl.reports.thumbnails import PER_EXAMPLE, Thumbnails
from inscl.storage.files.atomic import read_jsonl
from inscl.storage.memory.store import MemoryStore
from pictures import picture
from reports.conftest import seal_run, write_lines


def image(content: bytes, name: str) -> Image:
    return Image(name, sha256(content).hexdigest(), partial(bytes, content))


@pytest.fixture
def kept(tmp_path: Path) -> Callable[..., list[Image]]:
    """Puts pictures into a run's memory; gives them as a record has them."""

    def keep(*contents: bytes, name: str = "a.png") -> list[Image]:
        images = [image(content, name) for content in contents]
        task = Task("seen", (Example("Name it.", "", ("it",), images=tuple(images)),))
        MemoryStore(tmp_path / "memory").add("1", task, {}, {})
        return [Image(one.path, one.digest) for one in images]

    return keep


def drawn(markup: str) -> list[Pillow.Image]:
    found = re.findall(r'src="data:image/jpeg;base64,([^"]+)"', markup)
    return [Pillow.open(BytesIO(base64.b64decode(data))) for data in found]


def test_a_picture_is_small_and_looks_as_it_did(tmp_path: Path, kept: Callable[..., list[Image]]) -> None:
    wide, stream = Pillow.new("RGB", (1000, 500), "red"), BytesIO()
    wide.save(stream, "JPEG")
    clear, flat = Pillow.new("RGBA", (10, 20), (0, 0, 0, 0)), BytesIO()
    clear.save(flat, "PNG")
    turned, sideways = Pillow.Exif(), BytesIO()
    turned[0x112] = 6  # the camera was held upright
    wide.save(sideways, "JPEG", exif=turned)
    printed = BytesIO()
    wide.convert("CMYK").save(printed, "JPEG")
    made = (stream, flat, sideways, printed)
    shown = Thumbnails(9).of(tmp_path, kept(*(one.getvalue() for one in made)))
    small, white, upright, ink = drawn(shown)
    assert ink.mode == "RGB"
    assert (small.size, white.size, upright.size) == ((96, 48), (10, 20), (48, 96))
    red, green, blue = small.getpixel((40, 20))
    assert red > 240
    assert green < 20 > blue
    assert white.getpixel((5, 5)) == (255, 255, 255)
    assert 'width="96" height="48"' in shown


def test_a_name_is_text_whatever_it_says(tmp_path: Path, kept: Callable[..., list[Image]]) -> None:
    name = '"><script>alert(1)</script>{} {0}\u202e'
    shown = Thumbnails(9).of(tmp_path, kept(picture(1), name=name))
    assert "<script>" not in shown
    (said,) = re.findall(r'alt="([^"]*)"', shown)
    assert html.unescape(said) == '"><script>alert(1)</script>{} {0}⟨U+202E⟩'
    shown = Thumbnails(0).of(tmp_path, kept(picture(1), name=name))
    assert "<script>" not in shown
    assert drawn(shown) == []
    assert "not shown" in shown


def test_no_more_are_drawn_than_the_page_holds(tmp_path: Path, kept: Callable[..., list[Image]]) -> None:
    images = kept(*(picture(k) for k in range(6)))
    thumbnails = Thumbnails(2)
    first = thumbnails.of(tmp_path, images)
    assert len(drawn(first)) == 2
    assert first.count("not shown") == PER_EXAMPLE - 2
    assert "and 2 more" in first
    # What is drawn already costs nothing more.
    assert len(drawn(thumbnails.of(tmp_path, images[:2]))) == 2
    assert len(drawn(thumbnails.of(tmp_path, images[3:]))) == 0


def test_what_can_not_be_drawn_is_named(
    tmp_path: Path, kept: Callable[..., list[Image]], monkeypatch: pytest.MonkeyPatch
) -> None:
    (here,) = kept(picture(1, size=(50, 50)))
    gone = Image("gone.png", "0" * 64)
    shown = Thumbnails(9).of(tmp_path, [gone, here])
    assert "gone.png</bdi>, not at hand" in shown
    assert len(drawn(shown)) == 1
    with monkeypatch.context() as patched:
        patched.setattr(checks, "MOST_PIXELS", 2499)
        assert drawn(Thumbnails(9).of(tmp_path, [here])) == []
    monkeypatch.setitem(sys.modules, "PIL", None)
    assert "a.png</bdi>, not at hand" in Thumbnails(9).of(tmp_path, [here])
    assert "not at hand" in Thumbnails(9).of(tmp_path / "elsewhere", [here])
    assert not (tmp_path / "elsewhere").exists()


@pytest.fixture
def seen(write_run: Callable[..., Path]) -> Path:
    """A run whose answers are about pictures, two each."""
    run = write_run("seen", strategy="none", label="No Replay", loss=14)
    images = [image(picture(k), f"{k}.png") for k in range(3)]
    asked = (Example("Name it.", "", ("it",), images=tuple(images)),)
    MemoryStore(run / "memory").add("pictures", Task("pictures", asked), {}, {})
    for file in run.glob("stages/*/predictions/*.jsonl"):
        rows = read_jsonl(file)
        write_lines(
            file, [{**row, "images": [images[k % 3].to_json(), images[0].to_json()]} for k, row in enumerate(rows)]
        )
    return seal_run(run)


def test_lost_answers_show_what_they_were_asked_about(seen: Path) -> None:
    page = write_report([seen]).read_text(encoding="utf-8")
    found = {picture.tobytes() for picture in drawn(page)}
    assert 0 < len(found) <= 3
    assert page.count('class="pictures"') == page.count("<article>") > 0
    assert len(page.encode()) < MOST_BYTES


@pytest.mark.browser
def test_pictures_are_seen_and_nothing_is_asked_for(seen: Path, browser: Any) -> None:
    page = browser.new_page()
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.goto(write_report([seen]).as_uri())
    page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    widths = page.evaluate("[...document.querySelectorAll('img.picture')].map(i => i.complete && i.naturalWidth)")
    page.close()
    assert widths
    assert set(widths) == {8}
    assert [url for url in requests if not url.startswith(("file:", "data:"))] == []
