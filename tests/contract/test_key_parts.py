from __future__ import annotations

import pytest

from inscl.contract import Example
from inscl.contract.example import Image, Turn
from inscl.contract.key_parts import clauses, key_part_choices, masked

TEXT = "Classify the review. Answer in one word, positive or negative!\nBe brief; 1.5 lines at most"


def test_clauses_are_parts_of_the_text_and_the_longest_are_kept() -> None:
    found = clauses(TEXT, 9)
    assert found == [
        "Classify the review.",
        "Answer in one word,",
        "positive or negative!",
        "Be brief;",
        "1.5 lines at most",
    ]
    assert all(part in TEXT for part in found)
    assert clauses(TEXT, 2) == ["Classify the review.", "positive or negative!"]
    assert clauses("--- ...", 3) == []


def test_what_the_data_name_comes_first_as_far_as_it_occurs() -> None:
    named = Example(TEXT, "x", ("y",), metadata={"key_parts": ["one word", "two words", 3, ""]})
    assert key_part_choices(named, 4) == [("one word",)]
    assert key_part_choices(Example(TEXT, "x", ("y",), metadata={"key_parts": ["two words"]}), 4) == []
    assert key_part_choices(Example("Do this, now", "x", ("y",)), 4) == [("Do this,",), ("now",)]


def test_parts_are_masked_where_the_instruction_stands() -> None:
    plain = Example("Say it in one word, one", "x one", ("y",))
    assert masked(plain, ["one", "one word"]).prompt == "Say it in [...], [...]\n\nx one"
    assert masked(plain, ["two"]) is None
    turns = (Turn("user", "First: Do it"), Turn("assistant", "Do it?", True), Turn("user", "x"))
    talk = Example("Do it", "x", ("y",), turns=turns)
    hidden = masked(talk, ["it"], "_")
    assert [turn.content for turn in hidden.turns] == ["First: Do _", "Do it?", "x"]
    assert not any(turn.learn for turn in hidden.turns)
    assert masked(Example("Do that", "x", ("y",), turns=turns), ["that"]) is None


def test_pictures_keep_their_markers_and_get_no_others() -> None:
    text = "Which is red, <image> or <image>?"
    seen = Example(text, "", ("y",), turns=(Turn("user", text),), images=(Image("a.png"), Image("b.png")))
    for parts, mask, hidden in (
        (["<image> or <image>?"], "[...]", "Which is red, [...]<image><image>"),
        (["Which is red,"], "[...]", "[...] <image> or <image>?"),
        (["Which is red,"], "What is <image>?", "What is ? <image> or <image>?"),
        (["or <image>", "red, <image>"], "_", "Which is _<image> _<image>?"),
    ):
        found = masked(seen, parts, mask)
        assert found is not None
        assert (found.instruction, found.turns[0].content) == (hidden, hidden)
    # Without pictures it is a text like others.
    assert masked(Example(text, "", ("y",)), ["<image> or <image>?"]).instruction == "Which is red, [...]"


@pytest.mark.parametrize(
    ("text", "parts", "hidden"),
    [
        # A part that stands in the mask, or in what another part has become.
        ("Say it. Shorten ... it.", ["Say it.", "..."], "[...] Shorten [...] it."),
        ("Answer A or B", ["Answer", "A"], "[...] [...] or B"),
        # A clause of one letter isn't every such letter.
        ("a, name an animal", ["a"], "[...], name an animal"),
        ("Name a cat, at last a", ["a", "cat,"], "Name [...] [...] at last [...]"),
        # Parts that overlap, or lie within each other, are one stretch.
        ("Do it in one word only, please", ["in one", "one word only"], "Do it [...], please"),
        ("one word", ["one word", "one", "word"], "[...]"),
        # Where words have no blanks between them, a part may be within what looks like one.
        ("日本語で答えて", ["日本"], "[...]語で答えて"),
        ("Use c++ (yes)", ["c++", "(yes)", ""], "Use [...] [...]"),
    ],
)
def test_each_part_is_masked_where_it_stands_and_nowhere_else(text: str, parts: list[str], hidden: str) -> None:
    for order in (parts, parts[::-1]):
        found = masked(Example(text, "", ("y",)), order)
        assert found is not None
        assert found.instruction == hidden
