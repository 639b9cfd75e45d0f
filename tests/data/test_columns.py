from __future__ import annotations

import pytest

from inscl.data.columns import Columns, RowProblem, decoded


def test_names_are_compared_without_case_and_space_and_exact_ones_win() -> None:
    columns = Columns({" Instruction ": "a", "\ufeffINPUT": "b", "Output": "c", "output": "d"}, {})
    assert [columns.value(field) for field in ("instruction", "input", "output")] == ["a", "b", "d"]
    assert columns.unused() == ["Output"]
    with pytest.raises(RowProblem, match="the columns OUTPUT, Output differ by case or spaces alone"):
        Columns({"OUTPUT": "a", "Output": "b"}, {}).value("output")
    assert Columns({"OUTPUT": "a", "Output": "b"}, {"output": "Output"}).value("output") == "b"
    assert Columns({"Answer": {"text": "x"}}, {"output": "answer.text"}).value("output") == "x"


def test_a_column_that_is_mapped_is_no_other_field() -> None:
    columns = Columns({"source": "a", "input": "b"}, {"instruction": "source", "output": "input"})
    assert [columns.value(field) for field in ("instruction", "output")] == ["a", "b"]
    assert [columns.value(field) for field in ("source", "input")] == [None, None]
    assert columns.unused() == []


def test_what_is_empty_is_not_missed() -> None:
    assert Columns({"a": None, "b": "", "c": [], "d": {}, "e": 0, "f": False, "g": " "}, {}).unused() == ["e", "f", "g"]


@pytest.mark.parametrize(
    ("value", "list_or_text"),
    [("[1]", [1]), (' {"a": 1}', {"a": 1}), ("[1", "[1"), ("[NaN]", "[NaN]"), ("text", "text"), (3, 3), (None, None)],
)
def test_lists_that_are_texts(value: object, list_or_text: object) -> None:
    assert decoded(value) == list_or_text
