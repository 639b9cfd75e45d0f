from __future__ import annotations

from typing import Any

import pytest

from inscl.data.layouts import Layout, RowProblem
from inscl.errors import ConfigError


def test_alpaca_keeps_empty_inputs_and_every_reference() -> None:
    fields = Layout().parse({"instruction": "Say", "input": "", "output": ["a", "b", "a"]})
    assert (fields.instruction, fields.input, fields.outputs) == ("Say", "", ("a", "b", "a"))
    assert Layout().parse({"instruction": "Say", "outputs": ["x", "y"], "output": None}).outputs == ("x", "y")


def test_a_reference_of_white_space_is_none() -> None:
    fields = Layout().parse({"instruction": "Say", "output": ["", "yes", " \n"]})
    assert (fields.outputs, fields.blank) == (("yes",), 2)
    for blank in (" ", [" ", "\t"]):
        with pytest.raises(RowProblem, match="the output is empty"):
            Layout().parse({"instruction": "Say", "output": blank})


@pytest.mark.parametrize(("value", "shown"), [(3, "3"), (2.5, "2.5"), (True, "true"), (1e300, "1e+300"), (0, "0")])
def test_numbers_and_booleans_read_as_json_shows_them(value: Any, shown: str) -> None:
    assert Layout().parse({"instruction": "Say", "input": value, "output": value}).outputs == (shown,)


def test_a_mapping_of_columns() -> None:
    layout = Layout({"instruction": "=Translate.", "input": "text", "output": "answers.text", "source": "set"})
    fields = layout.parse({"text": "un", "answers": {"text": ["one", "a"]}, "set": "fr", "instruction": "ignored"})
    assert (fields.instruction, fields.input, fields.outputs, fields.source) == ("Translate.", "un", ("one", "a"), "fr")


def test_a_column_with_a_dot_in_its_name_wins() -> None:
    layout = Layout({"output": "a.b"})
    assert layout.parse({"instruction": "x", "a.b": "flat", "a": {"b": "nested"}}).outputs == ("flat",)


def test_an_equals_sign_alone_turns_a_field_off() -> None:
    assert Layout({"task": "="}).parse({"instruction": "x", "output": "y", "task": "classification"}).task == ""


def test_a_mapped_column_that_is_missing_is_named_with_those_there_are() -> None:
    with pytest.raises(RowProblem, match="'answer' is missing; there are: question, reply"):
        Layout({"instruction": "question", "output": "answer"}).parse({"question": "x", "reply": "y"})


def test_a_mapping_with_mistakes_tells_all_of_them() -> None:
    with pytest.raises(ConfigError) as caught:
        Layout({"instructions": "a", "outptu": "b"})
    assert "did you mean 'instruction'" in str(caught.value)
    assert "did you mean 'output'" in str(caught.value)


def chat(*turns: tuple[str, Any]) -> dict[str, Any]:
    return {"messages": [{"role": role, "content": content} for role, content in turns]}


def parsed(row: dict[str, Any]) -> tuple[str, str, tuple[str, ...]]:
    fields = Layout().parse(row)
    return fields.instruction, fields.input, fields.outputs


def test_chats() -> None:
    assert parsed(chat(("user", "Hi"), ("assistant", "Hello"))) == ("Hi", "", ("Hello",))
    assert parsed(chat(("system", "Be kind"), ("user", "Hi"), ("assistant", "Hello"))) == ("Be kind", "Hi", ("Hello",))
    longer = (("user", "Hi"), ("assistant", "Hello"), ("user", "Bye"), ("assistant", "Ciao"))
    assert parsed(chat(*longer)) == ("Hi", "Bye", ("Ciao",))
    assert parsed(chat(("system", "Be kind"), *longer)) == ("Be kind", "Bye", ("Ciao",))
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    assert parsed(chat(("user", parts), ("assistant", "c"))) == ("ab", "", ("c",))


def test_sharegpt() -> None:
    turns = [{"from": "system", "value": "S"}, {"from": "human", "value": "Q"}, {"from": "gpt", "value": "A"}]
    assert parsed({"conversations": turns}) == ("S", "Q", ("A",))


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (chat(("user", "Hi")), "assistant's last"),
        (chat(("assistant", "Hi"), ("user", "Hi")), "assistant's last"),
        (chat(("user", "Hi"), ("assistant", "Hi"), ("user", "Bye")), "assistant's last"),
        (chat(("user", "Hi"), ("assistant", None)), "turn 2 is no text"),
        (chat(("user", [{"type": "audio"}]), ("assistant", "x")), "turn 1 is no text"),
        (chat(("user", [{"type": "image"}]), ("assistant", "x")), "the row doesn't say which: a column `images`"),
        (
            {**chat(("user", [{"type": "image", "path": "a"}]), ("assistant", "x")), "image": "b"},
            "in the messages and in a column",
        ),
        (
            chat(("user", [{"type": "image", "path": "a"}, {"type": "image"}]), ("assistant", "x")),
            "1 of the pictures in the messages have no path",
        ),
        (chat(("robot", "Hi"), ("assistant", "x")), "role 'robot'"),
        ({"messages": "Hi"}, "list of turns"),
        ({"messages": ["Hi"]}, "turn 1 is str"),
        ({"messages": []}, "no turns"),
    ],
)
def test_chats_that_are_none(row: dict[str, Any], said: str) -> None:
    with pytest.raises(RowProblem, match=said):
        Layout().parse(row)
