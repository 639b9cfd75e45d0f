"""Options in every cyclic order, checked against orders written by hand."""

from __future__ import annotations

import pytest

from inscl.contract import Example
from inscl.contract.example import Turn
from inscl.learners.datastore.rotations import rotations


def test_labels_stay_and_texts_move_and_the_right_label_follows_its_text() -> None:
    text = "Which is a fruit?\nA. table\nB. apple\nC. cloud"
    found = rotations(Example("Choose.", text, ("B",), options=("A", "B", "C")))
    assert [(one.input.partition("\n")[2], one.output) for one in found] == [
        ("A. apple\nB. cloud\nC. table", "A"),
        ("A. cloud\nB. table\nC. apple", "C"),
    ]
    assert {one.options for one in found} == {("A", "B", "C")}
    assert all(one.input.startswith("Which is a fruit?\n") for one in found)


@pytest.mark.parametrize("form", ["({}) ", "{}) ", "{}: ", "  {}.  "])
def test_forms_of_labels(form: str) -> None:
    text = "\n".join(f"{form.format(label)}{said}" for label, said in zip("12", ("a b", "c, d"), strict=True))
    (found,) = rotations(Example("Choose.", text, ("1",), options=("1", "2")))
    lines = [
        line.split(form.format(label).strip())[-1].strip()
        for label, line in zip("12", found.input.splitlines(), strict=True)
    ]
    assert (lines, found.output) == (["c, d", "a b"], "2")


def test_options_that_stand_there_themselves_move_and_the_answer_stays() -> None:
    example = Example("Choose.", "red, green or blue: what is grass?", ("green",), options=("blue", "green", "red"))
    found = rotations(example)
    assert [one.input.partition(":")[0] for one in found] == ["green, blue or red", "blue, red or green"]
    assert {one.output for one in found} == {"green"}
    # Where there is no input, the instruction lists them.
    (other,) = rotations(Example("Is it hot or cold?", "", ("cold",), options=("hot", "cold")))
    assert (other.instruction, other.input, other.output) == ("Is it cold or hot?", "", "cold")


def test_listed_texts_behind_labels_that_are_no_options() -> None:
    (found,) = rotations(Example("Choose.", "A. red\nB. blue", ("red",), options=("red", "blue")))
    assert (found.input, found.output) == ("A. blue\nB. red", "red")


@pytest.mark.parametrize(
    "example",
    [
        Example("Choose.", "What is grass?", ("green",), options=("green", "red")),  # not there
        Example("Choose.", "green, red, or green?", ("green",), options=("green", "red")),  # twice
        Example("Choose.", "greenish red", ("green",), options=("green", "red")),  # within a word
        Example("Choose.", "dark red", ("red",), options=("red", "dark red")),  # one within the other
        Example("Choose.", "green, red", ("blue",), options=("green", "red")),  # an answer that is no option
        Example("Choose.", "A. green\nC. red", ("A",), options=("A", "B")),  # a label that isn't there
        Example("Choose.", "green, red", ("green",), options=("green",)),
        Example("Choose.", "green, red", ("green",)),
        Example("Choose.", "hot, cold", ("hot",), options=("hot", "cold"), turns=(Turn("user", "hot, cold"),)),
    ],
)
def test_what_is_not_listed_is_not_rotated(example: Example) -> None:
    assert rotations(example) == []


def test_n_rotations_lead_back() -> None:
    example = Example("Choose.", "A. a\nB. b\nC. c\nD. d", ("C",), options=("A", "B", "C", "D"))
    assert len(rotations(example)) == 3
    once = rotations(example)[0]
    for _ in range(3):
        once = rotations(once)[0]
    assert (once.input, once.output) == (example.input, example.output)
