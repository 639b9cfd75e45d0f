"""Data files that are too large, grow when they are unpacked, never end, or say a thing twice."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from inscl.data import load_stream, records
from inscl.data.readers import parquet as parquet_reader
from inscl.data.readers import rows
from inscl.errors import DataError

GOOD = [{"instruction": "Add one", "input": str(n), "output": str(n + 1)} for n in range(4)]


def write(path: Path, *lines: object) -> Path:
    path.write_text("".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines))
    return path


def test_a_text_beyond_the_limit_is_a_bad_row_whose_place_is_said(tmp_path: Path) -> None:
    huge = "x" * (records.LARGEST_FIELD + 1)
    path = write(tmp_path / "a.jsonl", *GOOD, {**GOOD[0], "input": huge})
    with pytest.raises(DataError, match=r"line 5: the input has 16,000,001 characters; at most 16,000,000 are read"):
        load_stream(path)
    stream = load_stream(path, skip_bad_rows=True)
    assert sum(len(task.train) + len(task.test) for task in stream) == 4
    (rejected,) = stream.rejected
    assert rejected["line"] == 5
    assert len(rejected["row"]["input"]) < 1_100_000  # as much as is worth keeping, and how much there was
    assert rejected["row"]["input"].endswith("(16,000,001 characters in all)")


def test_a_file_beyond_the_limit_is_not_even_opened(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.touch()
    os.truncate(path, rows.LARGEST_FILE + 1)  # a sparse file: it takes no room
    with pytest.raises(DataError, match=r"a\.jsonl: the file has 4,294,967,297 bytes; at most .* divide it"):
        load_stream(path)


def test_few_bytes_of_parquet_that_unpack_to_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import pyarrow as arrow
    from pyarrow import parquet

    texts = arrow.array(["x" * 100_000]).dictionary_encode().take(arrow.array([0] * 3000))
    parquet.write_table(
        arrow.table({"instruction": texts, "output": texts}), tmp_path / "a.parquet", compression="zstd"
    )
    assert (tmp_path / "a.parquet").stat().st_size < 100_000
    monkeypatch.setattr(parquet_reader, "LARGEST_FILE", 50_000_000)  # of 600,000,000
    with pytest.raises(DataError, match="unpack to more than 50,000,000 bytes"):
        load_stream(tmp_path / "a.parquet")


@pytest.mark.parametrize("suffix", ["jsonl", "csv", "parquet", "json"])
def test_a_pipe_and_a_device_are_no_data_files(tmp_path: Path, suffix: str) -> None:
    os.mkfifo(tmp_path / f"pipe.{suffix}")
    (tmp_path / f"zero.{suffix}").symlink_to("/dev/zero")
    for name in ("pipe", "zero"):
        with pytest.raises(DataError, match="no ordinary file"):
            load_stream(tmp_path / f"{name}.{suffix}")


def test_a_key_that_stands_twice_hides_no_value(tmp_path: Path) -> None:
    twice = '{"instruction": "x", "output": "a", "output": "b"}'
    path = write(tmp_path / "a.jsonl", *GOOD, twice)
    with pytest.raises(DataError, match="line 5: invalid JSON: the key 'output' stands twice"):
        load_stream(path)
    assert load_stream(path, skip_bad_rows=True).rejected[0]["row"] == twice
    with pytest.raises(DataError, match="'train' stands twice"):
        load_stream(write(tmp_path / "b.json", '{"train": [], "train": []}'))


def test_a_second_list_of_rows_is_not_passed_over(tmp_path: Path) -> None:
    path = write(tmp_path / "a.json", {"data": ["oops", *GOOD], "more": GOOD})
    with pytest.raises(DataError, match=r"several lists \(data, more\)"):
        load_stream(path)


def test_thousands_of_columns_make_no_endless_message(tmp_path: Path) -> None:
    names = [f"{'n' * 300}{n}" for n in range(2000)]
    (tmp_path / "a.csv").write_text(",".join(names) + "\nx,y\n" * 50)
    with pytest.raises(DataError) as caught:
        load_stream(tmp_path / "a.csv")
    assert "2000 fields were expected" in str(caught.value)
    assert len(str(caught.value)) < 3000
    write(tmp_path / "b.jsonl", dict.fromkeys(names, 1))
    with pytest.raises(DataError) as caught:
        load_stream(tmp_path / "b.jsonl")
    assert len(str(caught.value)) < 3000


def test_columns_of_one_name_in_parquet(tmp_path: Path) -> None:
    import pyarrow as arrow
    from pyarrow import parquet

    table = arrow.table([["x"], ["y"], ["z"]], names=["instruction", "output", "output"])
    parquet.write_table(table, tmp_path / "a.parquet")
    with pytest.raises(DataError, match="column names stand twice: output"):
        load_stream(tmp_path / "a.parquet")


def test_a_row_just_as_deep_as_the_parser_goes(tmp_path: Path) -> None:
    for depth in (99, 101, 500, 990, 5000):
        path = write(tmp_path / "a.jsonl", *GOOD, f'{{"instruction": {"[" * depth}{"]" * depth}}}')
        (rejected,) = load_stream(path, skip_bad_rows=True).rejected
        assert rejected["line"] == 5
        json.dumps(rejected)
