"""What a user can get wrong: one clear message, with file and line, and never a traceback."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from inscl.data import load_stream
from inscl.errors import DataError, MissingExtraError


def row(n: int, **more: Any) -> dict[str, Any]:
    return {"instruction": "Add one", "input": str(n), "output": str(n + 1), **more}


def write(path: Path, lines: list[Any]) -> Path:
    path.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines))
    return path


BAD_ROWS = {
    "invalid JSON": '{"instruction": "x", ',
    "NaN is not a JSON value": '{"instruction": "x", "output": NaN}',
    "array": "[1, 2]",
    "no column 'instruction'": '{"question": "x", "answer": "y"}',
    "there are: question, answer": '{"question": "x", "answer": "y"}',
    "'output' is null": '{"instruction": "x", "output": null}',
    "list of outputs is empty": '{"instruction": "x", "output": []}',
    "the output is null": '{"instruction": "x", "output": ["a", null]}',
    "the output is empty": '{"instruction": "x", "output": ""}',
    "the output is dict": '{"instruction": "x", "output": {"text": "y"}}',
    "the input is list": '{"instruction": "x", "input": ["y"], "output": "y"}',
    "the instruction is empty": '{"instruction": " ", "output": "y"}',
    "nested too deeply": '{"instruction": ' + "[" * 100_000,
    "the split is 'practice'": '{"instruction": "x", "output": "y", "split": "practice"}',
}


def test_blank_references_beside_others_are_left_out_and_noted(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", [{**row(n), "output": ["", "yes"]} for n in range(3)])
    stream = load_stream(tmp_path)
    assert {example.outputs for task in stream for example in (*task.train, *task.test)} == {("yes",)}
    assert any("blank reference left out: a.jsonl, line 1: 1 beside others" in line for line in stream.findings)


@pytest.mark.parametrize("said", BAD_ROWS)
def test_a_bad_row_is_named_with_file_and_line(tmp_path: Path, said: str) -> None:
    path = write(tmp_path / "add.jsonl", [*[row(n) for n in range(6)], BAD_ROWS[said], *[row(n) for n in range(7, 12)]])
    with pytest.raises(DataError) as caught:
        load_stream(path)
    assert said in str(caught.value)
    assert (caught.value.file, caught.value.line, caught.value.exit_code) == (str(path), 7, 2)


@pytest.mark.parametrize("said", BAD_ROWS)
def test_a_bad_row_is_put_aside_on_demand(tmp_path: Path, said: str) -> None:
    path = write(tmp_path / "add.jsonl", [*[row(n) for n in range(6)], BAD_ROWS[said], *[row(n) for n in range(7, 12)]])
    stream = load_stream(path, skip_bad_rows=True)
    assert sum(len(task.train) + len(task.test) for task in stream) == 11
    (rejected,) = stream.rejected
    assert (rejected["file"], rejected["line"]) == (str(path), 7)
    assert said in rejected["reason"]
    assert rejected["row"] in (BAD_ROWS[said], json.loads(BAD_ROWS[said]) if rejected["row"] != BAD_ROWS[said] else "")
    assert any("line 7" in finding and said in finding for finding in stream.findings)
    json.dumps(rejected)


def test_many_bad_rows_are_counted(tmp_path: Path) -> None:
    path = write(tmp_path / "add.jsonl", [*[row(n) for n in range(6)], *["{"] * 100])
    stream = load_stream(path, skip_bad_rows=True)
    assert len(stream.rejected) == 100
    assert any("100 in all" in finding for finding in stream.findings)
    assert len(stream.findings) < 30


def test_only_bad_rows_are_no_task(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no rows to use; 2 are bad, the first: invalid JSON"):
        load_stream(write(tmp_path / "add.jsonl", ["{", "["]), skip_bad_rows=True)


@pytest.mark.parametrize("suffix", ["jsonl", "json", "csv", "tsv", "parquet"])
@pytest.mark.parametrize("skip", [False, True])
def test_binary_junk(tmp_path: Path, suffix: str, skip: bool) -> None:
    for seed in range(3):
        path = tmp_path / f"junk.{suffix}"
        path.write_bytes(random.Random(seed).randbytes(5000))
        with pytest.raises(DataError, match="junk"):
            load_stream(path, skip_bad_rows=skip)


@pytest.mark.parametrize("suffix", ["jsonl", "json", "csv", "parquet"])
def test_an_empty_file_and_a_folder_with_a_file_name(tmp_path: Path, suffix: str) -> None:
    (tmp_path / f"a.{suffix}").touch()
    with pytest.raises(DataError, match="empty"):
        load_stream(tmp_path / f"a.{suffix}")
    (tmp_path / f"b.{suffix}").mkdir()
    with pytest.raises(DataError, match=r"folder.*empty"):
        load_stream(tmp_path / f"b.{suffix}")


def test_a_header_and_no_rows(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("instruction,output\n")
    with pytest.raises(DataError, match="no rows"):
        load_stream(tmp_path / "a.csv")
    (tmp_path / "b.json").write_text("[]")
    with pytest.raises(DataError, match="no rows"):
        load_stream(tmp_path / "b.json")


def test_a_task_of_one_example(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"'one' has one example.*at least two"):
        load_stream(write(tmp_path / "one.jsonl", [row(1)]))
    with pytest.raises(DataError, match="copies of one example"):
        load_stream(write(tmp_path / "one.jsonl", [row(1), row(1)]))
    with pytest.raises(DataError, match="no train rows"):
        load_stream(write(tmp_path / "one.jsonl", [row(1, split="test")]))


def test_some_rows_without_a_split(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"line 2.*no split"):
        load_stream(write(tmp_path / "a.jsonl", [row(1, split="train"), row(2), row(3, split="test")]))


def test_a_missing_file_and_its_neighbour(tmp_path: Path) -> None:
    write(tmp_path / "detection.jsonl", [row(1), row(2)])
    with pytest.raises(DataError, match=r"no such file or folder.*did you mean .*detection.jsonl"):
        load_stream(tmp_path / "detecton.jsonl")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no data files"):
        load_stream(tmp_path / "empty")


def test_a_mistyped_path_that_looks_like_a_hub_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(__import__("sys").modules, "datasets", None)
    with pytest.raises(MissingExtraError, match=r"'nobody/nothing' is no file or folder here.*inscl\[hub\]"):
        load_stream("nobody/nothing")
    (tmp_path / "mine").mkdir()
    with pytest.raises(DataError, match="no such file or folder"):
        load_stream("mine/nothing")


def test_no_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "a.jsonl", [row(1), row(2)])

    def refuse(self: Path) -> bytes:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(DataError, match=r"permission.*"):
        load_stream(path)


@pytest.mark.parametrize("suffix", ["jsonl", "csv"])
def test_ten_megabytes_in_one_field_are_read_and_named(tmp_path: Path, suffix: str) -> None:
    huge = "x" * 10_000_000
    path = tmp_path / f"a.{suffix}"
    if suffix == "jsonl":
        write(path, [row(1), row(2, input=huge), row(3)])
    else:
        path.write_text(f"instruction,input,output\nAdd one,1,2\nAdd one,{huge},3\nAdd one,3,4\n")
    stream = load_stream(path)
    assert huge in {example.input for task in stream for example in (*task.train, *task.test)}
    line = 2 if suffix == "jsonl" else 3
    assert any(f"line {line}: the input has 10,000,000 characters" in finding for finding in stream.findings)
    assert all(len(finding) < 300 for finding in stream.findings)


def test_csv_rows_of_another_width_and_encoding(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("instruction,output\nAdd,1\nAdd\nAdd,3\n")
    with pytest.raises(DataError, match=r"line 3: 2 fields were expected.*there are 1"):
        load_stream(tmp_path / "a.csv")
    (tmp_path / "a.csv").write_bytes(b"instruction,output\nAdd,caf\xe9\nAdd,2\nAdd,3\n")
    with pytest.raises(DataError, match="line 2: not UTF-8"):
        load_stream(tmp_path / "a.csv")
    assert len(load_stream(tmp_path / "a.csv", skip_bad_rows=True).rejected) == 1


def test_a_checkout_of_natural_instructions_is_pointed_to_the_converter(tmp_path: Path) -> None:
    (tmp_path / "tasks").mkdir()
    (tmp_path / "splits").mkdir()
    with pytest.raises(DataError, match="inscl data superni"):
        load_stream(tmp_path)


def test_bad_yaml(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text("- a\n- [b\n")
    with pytest.raises(DataError, match="invalid YAML"):
        load_stream(tmp_path / "s.yaml")
    (tmp_path / "s.yaml").write_text(f"stream: {{path: {tmp_path}/s.yaml}}\n")
    with pytest.raises(DataError, match="can't be a configuration"):
        load_stream(tmp_path / "s.yaml")
    (tmp_path / "s.yaml").write_text("hello")
    with pytest.raises(DataError, match="a list of tasks was expected"):
        load_stream(tmp_path / "s.yaml")


@pytest.mark.parametrize("path", ["a\0b.jsonl", "x" * 5000, "~nobody_at_all/x.jsonl", "", "/dev/null"])
def test_paths_that_can_not_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError) as caught:
        load_stream(path)
    assert len(str(caught.value)) < 6000


def test_values_that_json_can_not_hold_are_rejected_as_text(tmp_path: Path) -> None:
    import datetime

    import pyarrow as arrow
    from pyarrow import parquet

    good = {"instruction": "x", "output": 1.5, "when": datetime.date(2024, 2, 29), "raw": b"\xff"}
    rows = [{**good, "input": str(n)} for n in range(5)] + [{**good, "input": "5", "output": float("nan")}]
    parquet.write_table(arrow.Table.from_pylist(rows), tmp_path / "a.parquet")
    with pytest.raises(DataError, match="line 6: the output is nan"):
        load_stream(tmp_path / "a.parquet")
    (rejected,) = load_stream(tmp_path / "a.parquet", skip_bad_rows=True).rejected
    assert json.loads(json.dumps(rejected, allow_nan=False))["row"]["output"] == "NaN"
    with pytest.raises(DataError, match="the output is date"):
        load_stream(tmp_path / "a.parquet", columns={"output": "when"})


def test_a_message_that_asks_a_question_ends_with_it(tmp_path: Path) -> None:
    (tmp_path / "t.jsonl").write_bytes(b"\x00\xff\xfe")
    with pytest.raises(DataError, match=r"is this a JSONL file\? With skip_bad_rows"):
        load_stream(tmp_path / "t.jsonl")
