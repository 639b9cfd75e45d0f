from __future__ import annotations

import os
from pathlib import Path

import pytest

from inscl.errors import WorkspaceError
from inscl.storage.files.atomic import read_json, read_jsonl, write_json, write_jsonl, write_text


def test_round_trip_of_any_text(tmp_path: Path) -> None:
    value = {"text": "é 漢 🙂 \u2028 \ud800 \x00 \u202e", "none": None, "numbers": [1, 0.1]}
    write_json(tmp_path / "deep" / "x.json", value)
    assert read_json(tmp_path / "deep" / "x.json") == value
    write_jsonl(tmp_path / "x.jsonl", [value, "a\nb"])
    assert read_jsonl(tmp_path / "x.jsonl") == [value, "a\nb"]


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.json"
    write_json(path, 1)

    def full_disk(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(WorkspaceError, match="No space left"):
        write_json(path, 2)
    assert path.read_text() == "1\n"
    assert list(tmp_path.iterdir()) == [path]


def test_numbers_that_json_has_not_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "x.json", float("nan"))


@pytest.mark.parametrize("content", [b"{", b"\xff\xfe\x00", b'{"a": 1'])
def test_a_damaged_file_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "scores.json"
    path.write_bytes(content)
    with pytest.raises(WorkspaceError, match=r"scores\.json"):
        read_json(path)
    with pytest.raises(WorkspaceError, match=r"scores\.json"):
        read_jsonl(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(WorkspaceError, match="nothing"):
        read_json(tmp_path / "nothing.json")


def test_others_may_read_what_the_umask_lets_them(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        write_text(tmp_path / "x", "y")
    finally:
        os.umask(before)
    assert (tmp_path / "x").stat().st_mode & 0o777 == 0o644
