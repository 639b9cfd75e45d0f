from __future__ import annotations

import hashlib
import json
import os
import struct
import zlib
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image as Pillow

from inscl.contract import Example
from inscl.data import load_stream
from inscl.data import pictures as module
from inscl.data.columns import RowProblem
from inscl.data.pictures import FORMATS, PictureReader, check_picture, given_pictures, read_picture, upright
from inscl.errors import DataError, MissingExtraError
from pictures import picture


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def pictured(folder: Path, count: int = 6, **more: Any) -> list[dict[str, Any]]:
    """Rows that ask about a picture each; the pictures are written."""
    (folder / "pics").mkdir(parents=True, exist_ok=True)
    rows = []
    for n in range(count):
        (folder / "pics" / f"{n}.png").write_bytes(picture(n))
        rows.append({"instruction": "Name it.", "output": f"thing {n}", "image": f"pics/{n}.png", **more})
    return rows


def every(path: Path, **settings: Any) -> list[Example]:
    return [example for task in load_stream(path, **settings) for example in (*task.train, *task.test)]


@pytest.mark.parametrize("form", FORMATS)
def test_pictures_beside_the_file_are_read_when_they_are_needed(tmp_path: Path, form: str) -> None:
    contents = {n: picture(n, form) for n in range(4)}
    for n, content in contents.items():
        (tmp_path / f"{n}.bin").write_bytes(content)
    rows = [{"instruction": "Name it.", "output": f"thing {n}", "images": [f"{n}.bin"]} for n in contents]
    examples = every(write(tmp_path / "things.jsonl", rows))
    found = {example.output: example.images[0] for example in examples}
    assert {said: image.content for said, image in found.items()} == {f"thing {n}": contents[n] for n in contents}
    assert found["thing 2"].digest == hashlib.sha256(contents[2]).hexdigest()
    assert found["thing 2"].path == "2.bin"
    (tmp_path / "2.bin").write_bytes(contents[3])
    with pytest.raises(DataError, match="has changed since it was read"):
        _ = found["thing 2"].content
    (tmp_path / "2.bin").unlink()
    with pytest.raises(DataError, match="can't be read any more"):
        _ = found["thing 2"].content


def test_the_bytes_decide_which_example_it_is_and_not_the_name(tmp_path: Path) -> None:
    rows = pictured(tmp_path / "a")
    one = {e.output: e.id for e in every(write(tmp_path / "a" / "things.jsonl", rows))}
    (tmp_path / "b" / "other").mkdir(parents=True)
    for n in range(6):
        (tmp_path / "b" / "other" / f"x{n}").write_bytes(picture(n if n else 99))
    rows = [{**row, "image": f"other/x{n}"} for n, row in enumerate(rows)]
    two = {e.output: e.id for e in every(write(tmp_path / "b" / "things.jsonl", rows))}
    assert one["thing 0"] != two["thing 0"]
    assert [one[f"thing {n}"] == two[f"thing {n}"] for n in range(1, 6)] == [True] * 5
    stream = load_stream(tmp_path / "a" / "things.jsonl")
    assert "things.jsonl: 6 rows with pictures, 6 in all" in stream.findings
    assert stream.fingerprint != load_stream(tmp_path / "b" / "things.jsonl").fingerprint


def test_the_same_question_about_two_pictures_is_no_duplicate(tmp_path: Path) -> None:
    rows = [{**row, "output": "a cat"} for row in pictured(tmp_path)]
    told = load_stream(write(tmp_path / "cats.jsonl", rows)).findings
    assert not any("twice" in finding for finding in told)
    told = load_stream(write(tmp_path / "cats.jsonl", [*rows, rows[0]])).findings
    assert any("twice in one split" in finding or "held out" in finding for finding in told)


def test_llava_and_sharegpt_and_openai_say_the_same(tmp_path: Path) -> None:
    pictured(tmp_path)

    def llava(n: int, said: str) -> dict[str, Any]:
        turns = [{"from": "human", "value": said}, {"from": "gpt", "value": f"thing {n}"}]
        return {"id": str(n), "image": f"pics/{n}.png", "conversations": turns}

    def openai(n: int, part: dict[str, Any], **more: Any) -> dict[str, Any]:
        content = [part, {"type": "text", "text": "Name it."}]
        answer = {"role": "assistant", "content": f"thing {n}"}
        return {"messages": [{"role": "user", "content": content}, answer], **more}

    forms = {
        "alpaca": pictured(tmp_path),
        "llava": [llava(n, "<image>\nName it.") for n in range(6)],
        "bare": [llava(n, "Name it.") for n in range(6)],
        "trl": [openai(n, {"type": "image"}, images=[f"pics/{n}.png"]) for n in range(6)],
        "openai": [openai(n, {"type": "image_url", "image_url": {"url": f"pics/{n}.png"}}) for n in range(6)],
    }
    ids = {}
    for name, rows in forms.items():
        examples = every(write(tmp_path / f"{name}.jsonl", rows))
        assert {example.instruction for example in examples} == {"Name it."}
        ids[name] = {example.id for example in examples}
    assert len(ids["alpaca"]) == 6
    assert all(found == ids["alpaca"] for found in ids.values())


def test_several_pictures_and_markers_inside_a_text_stay_where_they_are(tmp_path: Path) -> None:
    pictured(tmp_path)
    turns = [{"from": "human", "value": "Is <image> like <image>?"}, {"from": "gpt", "value": "No."}]
    more = [{"from": "human", "value": "Why?"}, {"from": "gpt", "value": "It is red."}]
    rows = [{"images": ["pics/0.png", f"pics/{n}.png"], "conversations": [*turns, *more]} for n in range(1, 6)]
    for example in every(write(tmp_path / "pairs.jsonl", rows)):
        assert example.turns[0].content == "Is <image> like <image>?"
        assert example.images[0].path == "pics/0.png"
        assert Example.from_json(example.to_json()).id == example.id
    first = {"from": "human", "value": "<image><image>\nWhich is red?"}
    rows = [{**row, "conversations": [first, *turns[1:], *more]} for row in rows]
    for example in every(write(tmp_path / "pairs.jsonl", rows)):
        assert example.instruction == example.turns[0].content == "Which is red?"


def test_a_picture_that_is_asked_about_may_be_a_link(tmp_path: Path) -> None:
    """The link's own name may be that of another picture where it leads to."""
    for number, place in enumerate(("far/real.png", "far/link.png")):
        (tmp_path / place).parent.mkdir(exist_ok=True)
        (tmp_path / place).write_bytes(picture(number))
    (tmp_path / "link.png").symlink_to(tmp_path / "far" / "real.png")
    (tmp_path / "round.png").symlink_to("round.png")
    found = read_picture(tmp_path / "link.png")
    assert (found.path, found.content) == ("link.png", picture(0))
    for name in ("round.png", "a\0.png", "b" * 5000, "gone.png"):
        with pytest.raises(DataError):
            read_picture(tmp_path / name)


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP"])
def test_a_picture_is_turned_as_its_exif_data_say_and_is_as_it_is_where_they_say_nothing(form: str) -> None:
    def upright_of(exif: bytes) -> Any:
        stream = BytesIO()
        Pillow.open(BytesIO(picture(1, size=(8, 4)))).save(stream, form, exif=exif)
        check_picture(stream.getvalue(), "a")
        with Pillow.open(BytesIO(stream.getvalue())) as opened:
            return upright(opened).convert("RGB")

    turned = Pillow.Exif()
    turned[0x0112] = 6
    assert upright_of(turned.tobytes()).size == (4, 8)
    for broken in (b"garbage that is no TIFF", b"II*\0\xff\xff\xff\x7f", b""):
        assert upright_of(b"Exif\0\0" + broken).size == (8, 4)


HOSTILE: dict[str, Any] = {
    "there is no picture 'gone.png'": "gone.png",
    "lies outside the data file's folder": "../secret.png",
    "lies outside": "/etc/hostname",
    "lies outside the data": "link.png",
    "is an address": "https://example.com/a.png",
    "is an address; save": "data:image/png;base64,AAAA",
    "no name that a file can have": "a\0.png",
    "is no picture that can be read; PNG, JPEG, WEBP, GIF, BMP or TIFF was expected": "text.png",
    "is no picture that": "drawing.svg",
    "is damaged or incomplete": "half.png",
    "damaged or incomplete": "half.jpg",
    "has several frames or pages": "moving.gif",
    "several frames or pages": "pages.tiff",
    "has more than 67,108,864 pixels": "bomb.png",
    "more than 67,108,864 pixels": "larger.png",
    "is no ordinary file": "pics",
    "is int; a path, or bytes, was expected": 3,
    "2 pictures and 1 marker": ["pics/0.png", "pics/1.png"],
}


def _png_that_says(width: int, height: int) -> bytes:
    """A PNG of some bytes whose header says that it is huge."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 999)) + chunk(b"IEND", b"")
    )


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    pictured(folder)
    (tmp_path / "secret.png").write_bytes(picture(1))
    (folder / "link.png").symlink_to(tmp_path / "secret.png")
    (folder / "text.png").write_text("This is no picture.")
    (folder / "drawing.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>")
    for form, ending in (("PNG", "png"), ("JPEG", "jpg")):
        whole = picture(1, form, (64, 64))
        (folder / f"half.{ending}").write_bytes(whole[: len(whole) // 2])
    frames = [Pillow.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    frames[0].save(folder / "moving.gif", save_all=True, append_images=frames[1:])
    frames[0].save(folder / "pages.tiff", save_all=True, append_images=frames[1:])
    (folder / "bomb.png").write_bytes(_png_that_says(2**13, 2**13 + 1))
    (folder / "larger.png").write_bytes(_png_that_says(2**30, 2**30))
    return folder


@pytest.mark.parametrize("said", HOSTILE)
def test_a_picture_that_cannot_be_used_is_named_with_file_and_row(hostile: Path, said: str) -> None:
    rows = pictured(hostile, instruction="<image> Name it.")
    rows[4] = {**rows[4], "image": HOSTILE[said]}
    path = write(hostile / "things.jsonl", rows)
    with pytest.raises(DataError) as caught:
        load_stream(path)
    assert said in str(caught.value)
    assert (caught.value.file, caught.value.line, caught.value.exit_code) == (str(path), 5, 2)
    assert len(str(caught.value)) < 1000
    stream = load_stream(path, skip_bad_rows=True)
    assert len(stream.rejected) == 1
    assert sum(len(task.train) + len(task.test) for task in stream) == 5


def test_nothing_is_decoded_before_it_is_known_to_be_small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(module, "LARGEST_PICTURE", 1000)
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", lambda self: pytest.fail("it was decoded"))
    with pytest.raises(RowProblem, match="has 2,050 bytes; at most 1,000 are read"):
        check_picture(b"\0" * 2050, "a")
    (tmp_path / "a.png").write_bytes(b"\0" * 2050)
    monkeypatch.setattr(Path, "read_bytes", lambda self: pytest.fail("it was read"))
    with pytest.raises(RowProblem, match="has 2,050 bytes; at most 1,000 are read"):
        PictureReader(tmp_path).read(["a.png"])
    with pytest.raises(RowProblem, match="pixels"):
        check_picture(_png_that_says(2**13, 2**13 + 1), "a")


def test_a_camera_picture_of_several_views_is_one_still() -> None:
    views, stream = [Pillow.new("RGB", (4, 4), colour) for colour in ("red", "blue")], BytesIO()
    views[0].save(stream, "MPO", save_all=True, append_images=views[1:])
    assert Pillow.open(BytesIO(stream.getvalue())).format == "MPO"
    check_picture(stream.getvalue(), "a")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(RowProblem, match="is no ordinary file"):
        PictureReader(tmp_path).read(["pipe.png"])


def test_parquet_and_saved_data_sets_hold_the_bytes(tmp_path: Path) -> None:
    import datasets
    import pyarrow as pa
    from pyarrow import parquet

    contents = [picture(n) for n in range(5)]
    said = {"instruction": ["Name it."] * 5, "output": [f"thing {n}" for n in range(5)]}
    parquet.write_table(pa.table({**said, "image": contents}), tmp_path / "bytes.parquet")
    structs = [{"bytes": content, "path": f"{n}.png"} for n, content in enumerate(contents)]
    parquet.write_table(pa.table({**said, "images": [[one] for one in structs]}), tmp_path / "structs.parquet")
    features = datasets.Features(
        instruction=datasets.Value("string"), output=datasets.Value("string"), images=datasets.List(datasets.Image())
    )
    made = datasets.Dataset.from_dict({**said, "images": [[one] for one in structs]}, features=features)
    made.save_to_disk(tmp_path / "saved")
    found = [every(tmp_path / name) for name in ("bytes.parquet", "structs.parquet", "saved")]
    wanted = {f"thing {n}": content for n, content in enumerate(contents)}
    for examples in found:
        assert {example.output: example.images[0].content for example in examples} == wanted
    assert {example.id for example in found[0]} == {example.id for example in found[1]}
    assert {example.id for example in found[0]} == {example.id for example in found[2]}
    assert sorted(example.images[0].path for example in found[1]) == [f"{n}.png" for n in range(5)]


def test_a_data_set_of_the_hub_names_no_files_here() -> None:
    with pytest.raises(RowProblem, match="is not in the data set, only its path is"):
        PictureReader(None).read([{"bytes": None, "path": "/etc/hostname"}])


def test_a_bad_row_does_not_repeat_its_bytes(tmp_path: Path) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    noise = [b"no picture" * 1000, *(picture(n) for n in range(4))]
    rows = {"instruction": ["Name it."] * 5, "output": [f"thing {n}" for n in range(5)], "image": noise}
    parquet.write_table(pa.table(rows), tmp_path / "bytes.parquet")
    (rejected,) = load_stream(tmp_path / "bytes.parquet", skip_bad_rows=True).rejected
    assert rejected["row"]["image"] == "(10,000 bytes)"


def test_pictures_can_be_left_out_and_are_told(tmp_path: Path) -> None:
    rows = [{"instruction": "Say", "input": str(n), "output": str(n), "image": f"http://x/{n}"} for n in range(5)]
    stream = load_stream(write(tmp_path / "a.jsonl", rows), columns={"images": "="})
    assert "a.jsonl: not used: image (5 rows)" in stream.findings
    rows = [{"instruction": f"See <image> {n}", "output": str(n)} for n in range(5)]
    stream = load_stream(write(tmp_path / "a.jsonl", rows))
    assert "a.jsonl: 5 rows with <image> and no picture; it is a text like others" in stream.findings


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (None, []),
        ("", []),
        (" ", []),
        ([], []),
        ({"bytes": None, "path": None}, []),
        ("a.png", ["a.png"]),
        ('["a.png", "b.png"]', ["a.png", "b.png"]),
        (["a.png", None], ["a.png"]),
        (b"\x89", [b"\x89"]),
        ({"bytes": b"x", "path": "a"}, [{"bytes": b"x", "path": "a"}]),
    ],
)
def test_how_a_column_names_pictures(value: Any, found: list[Any]) -> None:
    assert given_pictures(value) == found


def test_a_picture_must_be_the_one_that_its_digest_names(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(picture(1))
    right = hashlib.sha256(picture(1)).hexdigest()
    PictureReader(tmp_path).read([{"path": "a.png", "sha256": right}])
    with pytest.raises(RowProblem, match="is not the one that its sha256 names"):
        PictureReader(tmp_path).read([{"path": "a.png", "sha256": right[::-1]}])


def test_without_pillow_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "things.jsonl", pictured(tmp_path))
    monkeypatch.setitem(__import__("sys").modules, "PIL", None)
    with pytest.raises(MissingExtraError, match="images"):
        load_stream(path)
