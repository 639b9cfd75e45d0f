from __future__ import annotations

from pathlib import Path

import pytest

from inscl.data.published.benchmark_json import read_json, text_of, texts_of
from inscl.errors import DataError


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"[1,\n 2", "line 2: invalid JSON"), (b"", "empty"), (b'["\xff"]', "not UTF-8"), (b"[" * 99999, "invalid JSON")],
)
def test_files_that_are_no_json(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "x.json").write_bytes(content)
    with pytest.raises(DataError, match=said) as caught:
        read_json(tmp_path / "x.json")
    assert "x.json" in str(caught.value)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"b": 1, "c": 2}, "row 7: .*text 'a'.*there are: b, c"),
        ({"a": 1}, "it holds int"),
        ({"a": None}, "it holds NoneType"),
        (["a"], "this is a JSON list"),
        ({"a": ["x", 1]}, "it holds list"),
    ],
)
def test_rows_without_the_text(row: object, said: str) -> None:
    for read in (text_of, texts_of):
        with pytest.raises(DataError, match=said) as caught:
            read(row, "a", Path("x.json"), 7)
        assert str(caught.value).startswith("x.json: ")


def test_one_text_or_several() -> None:
    assert text_of({"a": "x"}, "a", Path("x.json"), 1) == "x"
    assert texts_of({"a": "x"}, "a", Path("x.json"), 1) == ("x",)
    assert texts_of({"a": ["x", "y"]}, "a", Path("x.json"), 1) == ("x", "y")
    assert texts_of({"a": []}, "a", Path("x.json")) == ()
