"""Cells that a spreadsheet would take for a formula."""

from __future__ import annotations

import csv
import io

import pytest

from bench.cells import record
from inscl.bench.numbers.summary import summarise
from inscl.bench.show.render import to_csv

FORMULAS = [
    "=1+1", "=cmd|' /C calc'!A0", "+1", "-1+1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1+1", "＋1", "－1", "＠x",
    '=HYPERLINK("http://evil","x")', "-",
]  # fmt: skip


@pytest.mark.parametrize("text", FORMULAS)
def test_a_formula_is_text_and_a_number_stays_a_number(text: str) -> None:
    summary = summarise([record("random", last=60.0), record(text, last=10.0, model="small")])
    table = list(csv.DictReader(io.StringIO(to_csv(summary), newline="")))
    cells = [value for row in table for value in row.values()]
    assert f"'{text}" in cells
    assert text not in cells
    for value in cells:
        if value[:1] in {"=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠"}:
            float(value)
    assert any(value.startswith("-") and float(value) < 0 for value in cells if value[:1] == "-")
