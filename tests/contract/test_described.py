from __future__ import annotations

import pytest

from inscl.contract import Example, Task, Turn
from inscl.contract.described import Described


def test_a_description_has_lengths_and_no_texts() -> None:
    rows = (
        Example("Do", "secret words here", ("hidden",)),
        Example("Try", "", ("two hidden", "not counted at all")),
        Example("Do", "", ("x",)),
    )
    assert Described.of(Task("a", rows)) == Described("a", {"Do": 2, "Try": 1}, input_words=3, answer_words=2)
    talk = Example("Be brief", "Hello", ("Hi",), turns=(Turn("system", "Be brief"), Turn("user", "Hello")))
    assert Described.of(Task("b", (talk,))).conversations
    assert Described.of(Task("c", ())) == Described("c", {}, 0, 0)


def test_options_are_those_that_all_examples_of_an_instruction_share() -> None:
    rows = [Example("Choose", f"input {k}", ("a",), options=("a", "b")) for k in range(3)]
    rows += [Example("Which", f"input {k}", ("a",), options=("a", f"secret {k}")) for k in range(3)]
    assert Described.of(Task("a", tuple(rows))).options == {"Choose": ("a", "b")}


@pytest.mark.parametrize(
    ("answers", "good", "bad"),
    [
        ([f'{{"k": {k}}}' for k in range(9)], '{"k": 77}', "77"),
        ([f"{k}" for k in range(9)], "77", "seven"),
        (["yes", "no"] * 9, "maybe", "no, not at all"),
    ],
)
def test_the_format_of_answers_is_known_and_no_answer_is(answers: list[str], good: str, bad: str) -> None:
    rows = tuple(Example("Do", f"input {k}", (text,)) for k, text in enumerate(answers))
    found = Described.of(Task("a", rows)).answer_format
    assert found is not None
    assert not found.problem(good)
    assert found.problem(bad)
    assert "yes" not in str(found.to_json())


def test_stand_ins_have_the_instructions_and_nothing_else() -> None:
    rows = (Example("Do", "x", ("y",), options=("y", "z")), Example("Try", "q", ("r",)), Example("Do", "z", ("z",)))
    task = Described.of(Task("a", (*rows[:2], Example("Do", "z", ("z",), options=("y", "z"))))).stand_ins()
    assert (task.name, task.instruction_counts) == ("a", {"Do": 2, "Try": 1})
    assert {(example.input, example.outputs) for example in task.train} == {("", ("",))}
    assert [example.options for example in task.train] == [("y", "z"), ("y", "z"), ()]
