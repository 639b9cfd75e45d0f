from __future__ import annotations

import json

import pytest

from inscl.contract.reference_format import format_from_json, learn_format

LABELS = ["positive", "Negative."] * 6
OBJECTS = [f'{{"item": "a{k}", "count": {k}, "note{k}": 1}}' for k in range(6)]
NUMBERS = [f"{k * 1000 + 5:,}" for k in range(7)] + ["-3.5", "40%"]
LINES = [f"a line of {'many ' * k}words" for k in range(3, 15)]
TEXTS = [f"line {k}\nand line {'more ' * k}" for k in range(3, 15)]


@pytest.mark.parametrize(
    ("references", "name", "good", "bad"),
    [
        (LABELS, "one of 2 labels", ["POSITIVE", " negative. "], ["positive negative", "neutral", ""]),
        (OBJECTS, "JSON", ['{"count": 1, "item": "b"}'], ['{"item": "b"}', "item: b", "[1]", '{"item": "b", "count"']),
        ([f"[{k}]" for k in range(20)], "JSON", ["[]", "[1, 2]"], ["{}", "1", "null"]),
        (NUMBERS, "a number", ["7", " 1,234.5 ", "-2%"], ["seven", "7 apples", ""]),
        (LINES, "3 to 36 words on one line", ["one two three"], ["one two", "word " * 37, "a b c\nd e f"]),
        (TEXTS, "3 to 36 words", ["one two three\nfour"], ["one two"]),
    ],
)
def test_a_format_takes_its_references_and_what_is_like_them(
    references: list[str], name: str, good: list[str], bad: list[str]
) -> None:
    found = learn_format(references)
    assert found is not None
    assert found.name == name
    assert [found.problem(text) for text in (*references, *good)] == [""] * (len(references) + len(good))
    assert all(found.problem(text) for text in bad)
    assert format_from_json(json.loads(json.dumps(found.to_json()))) == found
    # Each constraint by itself, and all of them where there is no problem.
    for text in (*references, *good, *bad):
        assert all(found.kept(text)) is not bool(found.problem(text))
    assert found.is_closed is ("words" not in name)


def test_without_labels_the_next_narrower_format_is_found() -> None:
    found = learn_format(LABELS, labels=False)
    assert found is not None
    assert found.name == "0 to 2 words on one line"


@pytest.mark.parametrize("references", [[], ["a"], ["yes", "no"] * 2, [f"text {k}" for k in range(9)], [""] * 20])
def test_few_references_show_no_format(references: list[str]) -> None:
    assert learn_format(references) is None


def test_labels_that_hardly_repeat_are_no_closed_set() -> None:
    found = learn_format([f"{a} {b}" for a in ("red", "blue") for b in range(6)])
    assert found is not None
    assert found.name == "1 to 4 words on one line"
