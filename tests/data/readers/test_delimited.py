from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest

from inscl.data import load_stream
from inscl.data.readers import read_rows
from inscl.data.readers.delimited import SEPARATORS

ROWS = [["Say it.", f"item {n}, or; so", f'"red" {n}'] for n in range(6)]


def table(separator: str, header: str = "instruction input output") -> str:
    out = io.StringIO(newline="")
    csv.writer(out, delimiter=separator).writerows([header.split(" "), *ROWS])
    return out.getvalue()


@pytest.mark.parametrize("separator", SEPARATORS)
@pytest.mark.parametrize("name", ["a.csv", "a.tsv"])
def test_the_separator_is_found_and_told(tmp_path: Path, separator: str, name: str) -> None:
    (tmp_path / name).write_text(table(separator))
    read = list(read_rows(tmp_path / name))
    assert [list(row.values.values()) for row in read] == ROWS
    usual = "\t" if name == "a.tsv" else ","
    told = () if separator == usual else (f"its separator is a {SEPARATORS[separator]}",)
    assert read[0].notes == told
    assert not any(row.notes for row in read[1:])
    findings = load_stream(tmp_path / name).findings
    assert [f for f in findings if "separator" in f] == [f"{name}: {note}" for note in told]


def test_other_marks_in_the_texts_mislead_nothing(tmp_path: Path) -> None:
    rows = "".join(f"a;b;c {n},x;y;z|u|v\n" for n in range(9))
    (tmp_path / "a.csv").write_text(f"instruction,output\n{rows}")
    assert list(next(read_rows(tmp_path / "a.csv")).values.values()) == ["a;b;c 0", "x;y;z|u|v"]
    (tmp_path / "b.csv").write_text("Frage, genau;Antwort\n" + "".join(f"q{n};a,b,c\n" for n in range(9)))
    assert next(read_rows(tmp_path / "b.csv")).values == {"Frage, genau": "q0", "Antwort": "a,b,c"}
    (tmp_path / "c.csv").write_text("text\nhello; world\n")
    assert next(read_rows(tmp_path / "c.csv")).values == {"text": "hello; world"}


def test_the_line_that_names_the_separator(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("sep=;\r\ninstruction;output\r\nSay;1\r\nSay\r\n")
    good, bad = read_rows(tmp_path / "a.csv")
    assert (good.line, good.values) == (3, {"instruction": "Say", "output": "1"})
    assert (bad.line, bad.problem) == (4, "2 fields were expected (instruction, output), there are 1")


def test_a_space_after_every_separator_belongs_to_no_value(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('Instruction, Input, Output\nSay, "x, y", red\n')
    assert list(next(read_rows(tmp_path / "a.csv")).values.values()) == ["Say", "x, y", "red"]


@pytest.mark.parametrize(
    "header", ["Instruction,INPUT,Output", " instruction , input ,output\t", "\ufeffinstruction,input,output"]
)
def test_headers_are_compared_without_case_and_space(tmp_path: Path, header: str) -> None:
    (tmp_path / "a.csv").write_text(header + "\n" + "".join(f"Say,item {n},red {n}\n" for n in range(6)))
    stream = load_stream(tmp_path / "a.csv")
    assert {e.input for task in stream for e in (*task.train, *task.test)} == {f"item {n}" for n in range(6)}
    assert not any("not used" in finding for finding in stream.findings)
