from __future__ import annotations

from dataclasses import fields

from inscl.contract import Example, Question, Turn


def test_a_question_holds_everything_of_an_example_but_its_references() -> None:
    example = Example("Say it", "red", ("secret",), "say", turns=(Turn("user", "Say it"),), options=("a", "b"))
    question = Question.of(example)
    assert "secret" not in repr(question)
    assert (question.prompt, question.id, question.options) == (example.prompt, example.id, ("a", "b"))
    assert {field.name for field in fields(Question)}.isdisjoint({"outputs", "references"})


def test_options_found_elsewhere_take_the_place_of_its_own() -> None:
    assert Question.of(Example("x", "", ("a",), options=("a",)), ["c", "d"]).options == ("c", "d")


def test_a_question_without_turns_is_one_turn_of_the_user() -> None:
    assert Question("Say it", "red").conversation == (Turn("user", "Say it\n\nred"),)
