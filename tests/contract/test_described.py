from __future__ import annotations

import pytest

from inscl.contract import Example, Task, Turn
from inscl.contract.described import Described, is_stand_in, keeps_examples
from inscl.contract.example import Image


def test_a_description_has_lengths_and_no_texts() -> None:
    rows = (
        Example("Do", "secret words here", ("hidden",)),
        Example("Try", "", ("two hidden", "not counted at all")),
        Example("Do", "", ("x",)),
    )
    assert Described.of(Task("a", rows)) == Described("a", {"Do": 2, "Try": 1}, input_words=3, answer_words=2)
    talk = Example("Be brief", "Hello", ("Hi",), turns=(Turn("system", "Be brief"), Turn("user", "Hello")))
    assert Described.of(Task("b", (talk,))).conversations
    assert Described.of(Task("b", (Example("What is it?", "", ("x",), images=(Image("a.png"),)),))).conversations
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


def test_a_description_is_found_again_in_its_stand_ins() -> None:
    rows = tuple(Example("Do", f"x {k}", (f"{k}",), options=("a", "b") if k % 2 else ()) for k in range(9))
    found = Described.of(Task("a", (*rows, Example("Try", "many more words", ("1,000",)))))
    task = found.stand_ins()
    assert Described.of(task) == found
    assert all(map(is_stand_in, task.train))
    assert not any(map(is_stand_in, rows))
    assert [keeps_examples(one) for one in (task, Task("a", rows), Task("a", ()))] == [False, True, False]
    # Data may say what it likes of where it comes from: it has answers.
    assert not is_stand_in(Example("Do", "", ("x",), provenance=task.train[0].provenance))


def test_wordings_that_may_hold_an_input_go() -> None:
    twice = [
        Example("Say what rhymes with these", "cat", ("hat",), options=("hat", "bat")),
        Example("Answer Jane Doe's letter", "some text", ("x",)),
        Example("What is 1 + 1?", "", ("2",)),
        Example("Be brief", "Hello", ("Hi",), turns=(Turn("system", "Be brief"), Turn("user", "Hello"))),
        Example("Choose one", "dog", ("a",), options=("a", "hot dog")),
        Example("Sort the categories", "CATS!", ("x",)),
    ] * 2
    task = Task(
        "a", (*twice, Example("Once alone", "z", ("y",)), Example("x", "jane doe", ("q",)), Example("x", "?", ("q",)))
    )
    kept = Described.of(task).holding_no_input(task)
    assert kept.instructions == {"Say what rhymes with these": 2, "Choose one": 2, "Sort the categories": 2, "x": 2}
    assert kept.options == {"Say what rhymes with these": ("hat", "bat")}


def test_names_of_json_fields_go_where_an_input_stands_in_them() -> None:
    rows = tuple(Example("Do", f"w{k}", (f'{{"w1": {k}, "b": 1}}',)) for k in range(9))
    task = Task("a", rows)
    assert Described.of(task).answer_format
    assert Described.of(task).holding_no_input(task).answer_format is None
    fewer = Task("a", (rows[0], *rows[2:]))
    assert Described.of(fewer).holding_no_input(fewer).answer_format
