"""Records on disk: written under their key, read back in order, damage named."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.cells import record
from inscl.bench.records import read_records, write_record
from inscl.errors import WorkspaceError


def test_what_is_written_is_read_in_the_order_of_the_cells(tmp_path: Path) -> None:
    written = [{**record(name, seed=seed), "key": f"{name}{seed}"} for name in "ba" for seed in (1, 0)]
    for one in written:
        assert write_record(tmp_path, one) == tmp_path / f"{one['key']}.json"
    assert [one["key"] for one in read_records(tmp_path)] == ["a0", "a1", "b0", "b1"]
    assert [one["key"] for one in read_records(tmp_path, ["b1", "nowhere"])] == ["b1"]
    assert read_records(tmp_path / "not there") == []


@pytest.mark.parametrize("text", ['{"schema": 1, "key": "other"}', '{"schema": 2, "key": "x"}', "[]", "{"])
def test_a_file_that_is_no_record_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(WorkspaceError, match=r"x\.json"):
        read_records(tmp_path)
    assert read_records(tmp_path, ["y"]) == []
