from __future__ import annotations

from functools import partial
from hashlib import sha256
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image as Pillow

from inscl.contract import Example
from inscl.contract.example import Image
from inscl.data.picture_files import is_picture_file, pictures_of, unused_pictures, write_pictures
from inscl.data.pictures import FORMATS
from inscl.errors import DataError
from pictures import picture


def about(*contents: bytes) -> Example:
    images = tuple(Image("x", sha256(content).hexdigest(), partial(bytes, content)) for content in contents)
    return Example("Name it.", "", ("it",), images=images)


def test_each_picture_is_written_once_under_a_name_of_its_format(tmp_path: Path) -> None:
    contents = [picture(k, form) for k, form in enumerate(FORMATS)]
    names = write_pictures(tmp_path, [about(*contents), about(contents[0])])
    assert len(names) == len(list((tmp_path / "images").iterdir())) == len(FORMATS)
    for form, content in zip(FORMATS, contents, strict=True):
        path = tmp_path / names[sha256(content).hexdigest()]
        assert path.read_bytes() == content
        assert Pillow.registered_extensions()[path.suffix] == form == Pillow.open(BytesIO(content)).format


def test_what_another_call_wrote_is_put_right(tmp_path: Path) -> None:
    (name,) = write_pictures(tmp_path, [about(picture(1))]).values()
    (tmp_path / name).write_bytes(b"half")
    write_pictures(tmp_path, [about(picture(1))])
    assert (tmp_path / name).read_bytes() == picture(1)


def test_files_that_no_row_names_are_found(tmp_path: Path) -> None:
    names = write_pictures(tmp_path, [about(picture(k)) for k in range(3)])
    (tmp_path / "images" / "mine.png").write_bytes(picture(9))
    one, two, three = names
    rows = [{"images": [names[one], 3]}, {"images": [{"path": "x", "sha256": two}]}, {"images": "x"}, {}]
    assert [found for row in rows for found in pictures_of(row)] == [one, two]
    assert unused_pictures(tmp_path, rows) == [tmp_path / names[three]]
    assert unused_pictures(tmp_path / "elsewhere", rows) == []
    files = (tmp_path / "images").iterdir()
    assert {file.name for file in files if not is_picture_file(file)} == {"mine.png"}


def test_without_pictures_nothing_is_made(tmp_path: Path) -> None:
    assert write_pictures(tmp_path, [about()]) == {}
    assert list(tmp_path.iterdir()) == []


def test_a_picture_whose_bytes_are_not_at_hand_is_refused(tmp_path: Path) -> None:
    example = Example("Name it.", "", ("it",), images=(Image("pics/a.png", "0" * 64),))
    with pytest.raises(DataError, match=r"pics/a\.png: the bytes of this picture are not at hand"):
        write_pictures(tmp_path, [example])
