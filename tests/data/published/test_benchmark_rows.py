from __future__ import annotations

from pathlib import Path

import pytest

from inscl.contract import Example
from inscl.data import load_stream
from inscl.data.published.benchmark_rows import BenchmarkRows
from inscl.errors import DataError


def rows_of(place: Path, task: str = "a", count: int = 3) -> BenchmarkRows:
    rows = BenchmarkRows()
    rows.begin(task, place)
    for split in ("train", "validation", "test"):
        for number in range(count):
            rows.add(split, Example("Do it.", f"{split} {number}", ("yes", "no"), task, "folder"), "MIT")
    return rows


def test_what_is_written_is_what_is_read(tmp_path: Path) -> None:
    rows = rows_of(tmp_path)
    rows.write(tmp_path / "out")
    (task,) = load_stream(tmp_path / "out")
    assert [(e.instruction, e.input, e.outputs, e.source) for e in task.test] == [
        ("Do it.", f"test {number}", ("yes", "no"), "folder") for number in range(3)
    ]
    assert rows.lines() == ["a: 3 train, 3 validation, 3 test", "in all: 1 tasks, 9 rows"]


def test_train_copies_of_test_rows_and_empty_rows_are_left_out_and_counted(tmp_path: Path) -> None:
    rows = rows_of(tmp_path)
    rows.begin("b", tmp_path / "b")
    rows.add("train", Example("Do it.", " test 1", ("no", "yes"), "b"))  # the same as a test row of a
    rows.add("train", Example("Do it.", "train 1", ("yes", "no"), "b"))  # only of a train row
    rows.add("train", Example("Do it.", "validation 1", ("yes", "no"), "b"))  # only of a validation row
    rows.add("train", Example("Do it.", "nothing", (" ", ""), "b"))
    rows.add("test", Example(" ", "", ("x",), "b"))
    rows.add("test", Example("Do it.", "b", ("x",), "b"))
    rows.write(tmp_path / "out")
    stream = load_stream(tmp_path / "out")
    assert [example.input for example in stream.tasks[1].train] == ["train 1", "validation 1"]
    assert len(stream.tasks[0].train) == 3
    assert sorted(rows.lines()[3:]) == [
        "left out: 1 test rows of b without a prompt or an answer",
        "left out: 1 train rows of b that stand in a test split too",
        "left out: 1 train rows of b without a prompt or an answer",
    ]


def test_tasks_that_can_not_be(tmp_path: Path) -> None:
    rows = rows_of(tmp_path / "one")
    with pytest.raises(DataError, match=r"two: this is the task 'a', and .*one is too"):
        rows.begin("a", tmp_path / "two")
    with pytest.raises(DataError, match="can't be named"):
        rows.begin("x/y", tmp_path)
    rows.begin("empty", tmp_path / "empty")
    with pytest.raises(DataError, match="empty: the task 'empty' has no usable train rows"):
        rows.write(tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_optional_task_without_test_rows_is_left_out_as_a_whole(tmp_path: Path) -> None:
    rows = rows_of(tmp_path)
    rows.begin("spare", tmp_path / "spare", optional=True)
    rows.add("train", Example("Do it.", "x", ("y",), "spare"))
    rows.write(tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a.parquet"]
    assert rows.notes == ["left out: spare as a whole, 1 rows; none of its test rows can be used"]
    assert rows.lines()[:2] == ["a: 3 train, 3 validation, 3 test", "in all: 1 tasks, 9 rows"]


def test_a_folder_that_holds_other_data_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "other.jsonl").write_text("{}")
    with pytest.raises(DataError, match=r"other files \(other.jsonl\)"):
        rows_of(tmp_path).write(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["other.jsonl"]


def test_files_that_are_not_used_are_named(tmp_path: Path) -> None:
    for name in ("used.json", "other.json", "folder/README", ".hidden"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    rows = BenchmarkRows()
    rows.pass_over(tmp_path, {tmp_path / "used.json"})
    assert rows.notes == ["passed over: 2 files that are not the benchmark's (folder/README, other.json)"]
