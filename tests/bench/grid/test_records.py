"""Records on disk: written under their key, read back in order, damage named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bench.cells import record
from inscl.bench.grid.records import read_records, write_record
from inscl.bench.numbers.summary import summarise
from inscl.config.identity import key_of
from inscl.errors import DataError, WorkspaceError
from inscl.storage.files.atomic import read_json


def test_what_is_written_is_read_in_the_order_of_the_cells(tmp_path: Path) -> None:
    written = [{**record(name, seed=seed), "key": f"{name}{seed}"} for name in "ba" for seed in (1, 0)]
    for one in written:
        assert write_record(tmp_path, one) == tmp_path / f"{one['key']}.json"
    assert [one["key"] for one in read_records(tmp_path)] == ["a0", "a1", "b0", "b1"]
    assert [one["key"] for one in read_records(tmp_path, ["b1", "nowhere"])] == ["b1"]
    assert read_records(tmp_path / "not there") == []


def test_scores_of_held_out_tasks_survive_the_disk(tmp_path: Path) -> None:
    held_out = {"tasks": ["g"], "scores": {"rouge_l": [[40.0], [None], [46.5]]}}
    write_record(tmp_path, {**record(held_out=held_out), "key": "k"})
    (found,) = read_records(tmp_path)
    assert found["held_out"] == held_out
    assert summarise([found]).tables[0].rows[0].results["general_delta"].estimate.mean == pytest.approx(6.5)


@pytest.mark.parametrize("text", ['{"schema": 1, "key": "other"}', '{"schema": 2, "key": "x"}', "[]", "{"])
def test_a_file_that_is_no_record_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(WorkspaceError, match=r"x\.json"):
        read_records(tmp_path)
    assert read_records(tmp_path, ["y"]) == []


@pytest.mark.parametrize(
    "changes",
    [
        *({name: None} for name in ("cell", "tasks", "scores", "cost", "hardware", "answers")),
        {"scores": {}},
        {"scores": {"rouge_l": [[1.0, 2.0]]}},
        {"scores": {"rouge_l": [[None, None], [50.0, None], [40.0, 60.0]], "exact_match": 3}},
        {"scores": {"rouge_l": [[None, None], [50.0, None], [10**400, 60.0]]}},
        {"cost": {"tokens": 3}},
        {"answers": [3]},
        {"experts": {"rouge_l": [1.0]}},
        {"held_out": {"tasks": ["g"], "scores": {"rouge_l": [[1.0], [2.0]]}}},
        {"held_out": {"tasks": ["g"], "scores": {}}},
        {"held_out": [1]},
        {"questions": [1]},
        {"questions": {"a": {"ids": ["x", "y"], "instructions": [0, 0], "scores": {"rouge_l": [1.0]}}}},
    ],
)
def test_a_record_that_lacks_something_is_named_when_it_is_read(tmp_path: Path, changes: dict[str, Any]) -> None:
    write_record(tmp_path, {**record(), "key": "k1", **changes})
    with pytest.raises(DataError, match=r"k1\.json: cell k1: .*; delete the (file|record)"):
        read_records(tmp_path)
    write_record(tmp_path, {"schema": 1, "key": "k1"})
    with pytest.raises(DataError, match="the field 'scores' is missing"):
        read_records(tmp_path)


def test_the_key_of_every_committed_record_follows_from_what_it_says() -> None:
    paths = sorted(Path(__file__).parents[3].glob("benchmarks/results/*/records/*.json"))
    assert len(paths) > 30
    for path in paths:
        said = read_json(path)
        key = key_of(said["config"], said["stream_fingerprint"], said["model_fingerprint"], said["plugins"])
        assert said["key"] == key == path.stem
