from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from inscl.data import load_stream
from inscl.data.readers import read_rows
from inscl.data.readers.class_labels import classes_in, named
from inscl.errors import DataError

FEATURES = {
    "text": {"dtype": "string", "_type": "Value"},
    "label": {"names": ["red", "blue"], "_type": "ClassLabel"},
    "tags": {"feature": {"names": ["a", "b"], "_type": "ClassLabel"}, "_type": "Sequence"},
    "old": [{"names": ["c", "d"], "_type": "ClassLabel"}],
    "nested": {"kind": {"names": ["e"], "_type": "ClassLabel"}, "number": {"dtype": "int64", "_type": "Value"}},
    "parts": [{"kind": {"names": ["f", "g"], "_type": "ClassLabel"}}],
}


def test_classes_stand_wherever_a_description_has_them() -> None:
    classes = classes_in(FEATURES)
    assert classes == {
        "label": ("red", "blue"),
        "tags": ("a", "b"),
        "old": ("c", "d"),
        "nested.kind": ("e",),
        "parts.kind": ("f", "g"),
    }
    row = {"label": 1, "tags": [0, 1], "old": [1], "nested": {"kind": 0, "number": 0}, "parts": [{"kind": 1}, None]}
    assert named(row, classes) == {
        "label": "blue",
        "tags": ["a", "b"],
        "old": ["d"],
        "nested": {"kind": "e", "number": 0},
        "parts": [{"kind": "g"}, None],
    }
    assert row["parts"] == [{"kind": 1}, None]
    assert named({"label": -1}, classes) == {"label": None}
    assert named({"label": 7, "other": 1}, classes) == {"label": None, "other": 1}


def test_a_parquet_file_that_datasets_wrote(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    features = datasets.Features(
        text=datasets.Value("string"),
        label=datasets.ClassLabel(names=["red", "blue"]),
        all=datasets.Sequence(datasets.ClassLabel(names=["x", "y"])),
    )
    rows: list[dict[str, Any]] = [{"text": f"item {n}", "label": n % 2, "all": [n % 2]} for n in range(12)]
    table = datasets.Dataset.from_list(rows, features=features)
    table.to_parquet(str(tmp_path / "colours.parquet"))
    table.save_to_disk(tmp_path / "saved")
    for place in ("colours.parquet", "saved"):
        stream = load_stream(tmp_path / place, columns={"instruction": "text", "output": "label"})
        examples = [e for task in stream for e in (*task.train, *task.test)]
        assert {(e.instruction, e.output) for e in examples} == {
            (f"item {n}", ("red", "blue")[n % 2]) for n in range(12)
        }
        assert {e.options for e in examples} == {("red", "blue")}
        name = place.partition(".")[0]
        told = f"task {name}: a choice among 2 options (red, blue), the classes of its column of answers"
        assert told in stream.findings
        several = load_stream(tmp_path / place, columns={"instruction": "text", "output": "all"})
        assert {e.outputs for task in several for e in task.train} <= {("x",), ("y",)}
    assert (
        not load_stream(tmp_path / "saved", columns={"instruction": "text", "output": "label"}, options="none")
        .tasks[0]
        .train[0]
        .options
    )


def test_a_label_that_is_kept_back_is_a_bad_row(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    features = datasets.Features(text=datasets.Value("string"), label=datasets.ClassLabel(names=["red", "blue"]))
    rows = [{"text": f"item {n}", "label": n % 2 if n < 8 else -1} for n in range(12)]
    datasets.Dataset.from_list(rows, features=features).to_parquet(str(tmp_path / "t.parquet"))
    with pytest.raises(DataError, match=r"line 9: 'label' is null \(a class label of -1 names no class\)"):
        load_stream(tmp_path / "t.parquet", columns={"instruction": "text", "output": "label"})


def test_a_description_that_is_none_is_passed_over(tmp_path: Path) -> None:
    import pyarrow as arrow
    from pyarrow import parquet

    for junk in (
        b"",
        b"[]",
        b'{"info": {"features": 3}}',
        b'{"info": {"features": {"label": {"_type": "ClassLabel"}}}}',
    ):
        table = arrow.table({"label": [0, 1]}).replace_schema_metadata({b"huggingface": junk})
        parquet.write_table(table, tmp_path / "a.parquet")
        assert [row.values for row in read_rows(tmp_path / "a.parquet")] == [{"label": 0}, {"label": 1}]
