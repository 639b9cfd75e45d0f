from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from inscl.data import load_stream
from inscl.data.readers import read_rows
from inscl.errors import DataError

# Text with everything that breaks readers: line separators, bidirectional marks, combining marks, controls, emoji.
AWKWARD = "\u2028\u2029\x85\x0b\x0c\x1c\r\n\t\u202e\u0301\ufeff👩\u200d👧\x01\x7f\\\"',;{}"
text = st.text(
    alphabet=st.one_of(st.sampled_from(AWKWARD), st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
)
rows = st.lists(st.fixed_dictionaries({"instruction": text, "input": text, "output": text}), min_size=1, max_size=5)
many = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def values(path: Path) -> list[dict[str, Any]]:
    read = list(read_rows(path))
    assert all(not row.problem for row in read), [row.problem for row in read]
    return [dict(row.values) for row in read]


@many
@given(rows=rows, bom=st.booleans(), crlf=st.booleans())
def test_json_lines_keep_any_text(tmp_path: Path, rows: list[dict[str, str]], bom: bool, crlf: bool) -> None:
    end = "\r\n" if crlf else "\n"
    content = "".join(json.dumps(row, ensure_ascii=False) + end for row in rows).encode()
    (tmp_path / "a.jsonl").write_bytes(b"\xef\xbb\xbf" * bom + content)
    assert values(tmp_path / "a.jsonl") == rows


@many
@given(rows=rows, bom=st.booleans())
def test_json_documents_keep_any_text(tmp_path: Path, rows: list[dict[str, str]], bom: bool) -> None:
    for document in (rows, {"about": "x", "data": rows}):
        (tmp_path / "a.json").write_bytes(b"\xef\xbb\xbf" * bom + json.dumps(document, ensure_ascii=False).encode())
        assert values(tmp_path / "a.json") == rows


@many
@given(rows=rows, bom=st.booleans(), name=st.sampled_from(["a.csv", "a.tsv"]))
def test_delimited_files_keep_any_text(tmp_path: Path, rows: list[dict[str, str]], bom: bool, name: str) -> None:
    out = io.StringIO(newline="")
    writer = csv.DictWriter(
        out, ["instruction", "input", "output"], delimiter="\t" if name.endswith("tsv") else ",", quoting=csv.QUOTE_ALL
    )
    writer.writeheader()
    writer.writerows(rows)
    (tmp_path / name).write_bytes(b"\xef\xbb\xbf" * bom + out.getvalue().encode())
    assert values(tmp_path / name) == rows


@many
@given(rows=rows)
def test_parquet_keeps_any_text_and_lists(tmp_path: Path, rows: list[dict[str, str]]) -> None:
    import pyarrow as arrow
    from pyarrow import parquet

    with_lists = [{**row, "outputs": [row["output"], row["input"]]} for row in rows]
    parquet.write_table(arrow.Table.from_pylist(with_lists), tmp_path / "a.parquet")
    assert values(tmp_path / "a.parquet") == with_lists


def test_lone_surrogates_of_json_escapes_survive(tmp_path: Path) -> None:
    row = '{"instruction": "say \\ud800", "input": "\\udfff\\ud83d\\ude00", "output": "oN\\ud800"}'
    lines = [row.replace("N", str(n)) for n in range(8)]
    (tmp_path / "a.jsonl").write_text("\n".join(lines))
    stream = load_stream(tmp_path / "a.jsonl")
    examples = [*stream.tasks[0].train, *stream.tasks[0].test]
    assert {(e.instruction, e.input) for e in examples} == {("say \ud800", "\udfff😀")}
    assert {e.output for e in examples} == {f"o{n}\ud800" for n in range(8)}


def test_lines_are_those_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(b'\n{"a": "x\xe2\x80\xa8y"}\n\n{"a": 2}\n')
    assert [(row.line, row.values["a"]) for row in read_rows(tmp_path / "a.jsonl")] == [(2, "x\u2028y"), (4, 2)]
    (tmp_path / "a.csv").write_text('a,b\n"two\nlines",2\n\nx,3\n')
    assert [row.line for row in read_rows(tmp_path / "a.csv")] == [2, 5]


def test_json_lines_under_the_name_json(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"a": 1}\n{"a": 2}\n')
    assert values(tmp_path / "a.json") == [{"a": 1}, {"a": 2}]


def test_a_json_object_of_splits(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"train": [{"a": 1}, {"a": 2}], "test": [{"a": 3}]}')
    assert [(row.split, row.values["a"]) for row in read_rows(tmp_path / "a.json")] == [
        ("train", 1),
        ("train", 2),
        ("test", 3),
    ]


def test_one_object_with_lists_of_turns_is_a_row(tmp_path: Path) -> None:
    turns = [{"role": "user", "content": "a"}]
    for row in ({"Prompt": turns, "completion": turns}, {"chosen": turns, "rejected": turns}, {"messages": turns}):
        (tmp_path / "a.json").write_text(json.dumps(row))
        assert values(tmp_path / "a.json") == [row]


def test_references_in_a_csv_column(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('outputs\n"[""yes"", ""Yes.""]"\n[no list\n')
    assert [row["outputs"] for row in values(tmp_path / "a.csv")] == [["yes", "Yes."], "[no list"]


def test_a_field_of_ten_megabytes_in_csv_leaves_the_limit_as_it_was(tmp_path: Path) -> None:
    before = 131_072
    csv.field_size_limit(before)
    (tmp_path / "a.csv").write_text("a\n" + "x" * 10_000_000 + "\n")
    assert len(values(tmp_path / "a.csv")[0]["a"]) == 10_000_000
    assert csv.field_size_limit() == before


def test_saved_datasets(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    data = {
        name: datasets.Dataset.from_list(
            [{"instruction": "Say", "output": f"{name} {n}", "more": ["\u2028"]} for n in range(3)]
        )
        for name in ("train", "test", "unsupervised")
    }
    datasets.DatasetDict(data).save_to_disk(tmp_path / "mine")
    stream = load_stream(tmp_path / "mine")
    task = stream.tasks[0]
    assert (task.name, [e.output for e in task.train]) == ("mine", ["train 0", "train 1", "train 2"])
    assert [e.output for e in task.test] == ["test 0", "test 1", "test 2"]
    assert any("unsupervised" in finding for finding in stream.findings)
    data["train"].save_to_disk(tmp_path / "stream" / "one")
    assert load_stream(tmp_path / "stream").names == ("one",)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.jsonl", b"", "empty"),
        ("a.jsonl", b"\xff\xfeo\0", "UTF-16"),
        ("a.json", b'[{"a": 1},\n{"a": }]', "line 2"),
        ("a.json", b"[" * 100_000, "nested too deeply"),
        ("a.json", b'{"a": [{"x": 1}], "b": [{"x": 1}]}', "several lists"),
        ("a.json", b"3", "array of objects"),
        ("a.csv", b"a,a\n1,2\n", "stand twice"),
        ("a.csv", b'a,b\n"1,2\n', "valid CSV"),
        ("a.csv", b"\n\n", "header"),
        ("a.parquet", b"PAR1 but not really", "Parquet"),
        ("a.txt", b"hello", "format"),
    ],
)
def test_files_that_are_not_what_they_claim(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=said) as caught:
        list(read_rows(tmp_path / name))
    assert name in str(caught.value)
