from __future__ import annotations

import json
from pathlib import Path

import pytest

from inscl.errors import WorkspaceError
from inscl.storage.files.sealed_files import (
    copy_of,
    page_problem,
    read_sealed_json,
    read_sealed_text,
    seal_problem,
    signed_page,
    write_sealed_json,
    write_sealed_text,
)

VALUE = {"schema": 1, "names": ["ä", "b"], "share": 0.1}
TEXT = "seed: 0\nname: ä\n"


def flipped(path: Path, place: int) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


def test_what_was_written_is_read(tmp_path: Path) -> None:
    write_sealed_json(tmp_path / "a.json", VALUE)
    write_sealed_text(tmp_path / "a.yaml", TEXT)
    assert read_sealed_json(tmp_path / "a.json") == VALUE
    assert read_sealed_text(tmp_path / "a.yaml") == TEXT
    assert not seal_problem(tmp_path / "a.json")
    assert not seal_problem(tmp_path / "a.yaml")


def test_any_byte_of_a_json_file_that_changes_is_put_right(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_sealed_json(path, VALUE)
    good = path.read_bytes()
    for place in range(len(good)):
        flipped(path, place)
        try:
            same = json.loads(path.read_bytes()) == json.loads(good)  # white space
        except ValueError:
            same = False
        assert same or seal_problem(path)
        assert read_sealed_json(path) == VALUE
        path.write_bytes(good)


def test_any_byte_of_a_text_that_changes_is_refused_and_put_right_where_asked(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    write_sealed_text(path, TEXT)
    good = path.read_bytes()
    for place in range(len(good)):
        flipped(path, place)
        assert seal_problem(path)
        with pytest.raises(WorkspaceError, match=r"a\.yaml isn't as inscl wrote it.*copy"):
            read_sealed_text(path)
        assert read_sealed_text(path, restore=True) == TEXT
        assert path.read_bytes() == good


@pytest.mark.parametrize("damage", [lambda p: p.unlink(), lambda p: p.write_bytes(b""), lambda p: flipped(p, 5)])
def test_with_both_damaged_it_is_refused(tmp_path: Path, damage) -> None:
    write_sealed_json(tmp_path / "a.json", VALUE)
    write_sealed_text(tmp_path / "a.yaml", TEXT)
    for path in (tmp_path / "a.json", tmp_path / "a.yaml"):
        flipped(copy_of(path), 5)
        assert seal_problem(copy_of(path))
        assert not seal_problem(path)
        damage(path)
        with pytest.raises(WorkspaceError, match="from a backup"):
            read_sealed_json(path) if path.suffix == ".json" else read_sealed_text(path, restore=True)


def test_json_without_a_checksum_is_damaged(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps(VALUE))
    assert seal_problem(tmp_path / "a.json")
    with pytest.raises(WorkspaceError, match=r"a\.json is damaged"):
        read_sealed_json(tmp_path / "a.json")


def test_an_edited_text_is_taken_as_it_is_once_its_seal_and_copy_are_deleted(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(TEXT, encoding="utf-8")
    assert read_sealed_text(tmp_path / "a.yaml") == TEXT
    assert not seal_problem(tmp_path / "a.yaml")


def test_a_page_knows_its_checksum(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    assert not page_problem(path)
    path.write_text(signed_page("<!doctype html><p>ä</p>\n"), encoding="utf-8")
    assert not page_problem(path)
    flipped(path, 18)
    assert page_problem(path)
    path.write_text("<!doctype html>")
    assert page_problem(path)
