from __future__ import annotations

from typing import Any

import pytest

from inscl.contract.example import Turn
from inscl.data.chats import Spoken, conversation_of, read_history, read_turns, with_reasoning
from inscl.data.columns import RowProblem


def told(*turns: tuple[str, str], **more: Any) -> tuple[tuple[Turn, ...], str]:
    conversation = conversation_of(read_turns([{"role": r, "content": c} for r, c in turns]), **more)
    return conversation.turns, conversation.answer


LONG = (("user", "a"), ("assistant", "b"), ("user", "c"), ("assistant", "d"))


def test_turns_stay_as_they_are() -> None:
    assert told(*LONG) == ((Turn("user", "a"), Turn("assistant", "b"), Turn("user", "c")), "d")
    assert told(*LONG, learn_all=True)[0][1] == Turn("assistant", "b", learn=True)
    assert told(("system", "s"), ("developer", "t"), *LONG)[0][0] == Turn("system", "s\n\nt")
    assert told(*LONG, system="s")[0][0] == Turn("system", "s")
    assert told(("system", "own"), *LONG, system="s")[0][0] == Turn("system", "own")
    assert told(("system", " "), *LONG)[0][0] == Turn("user", "a")


@pytest.mark.parametrize(
    ("turns", "said"),
    [
        (LONG[:3], "to the assistant's last were expected, there are: user, assistant, user"),
        (LONG[1:], "from the user's first"),
        ((("system", "s"),), "there are: system"),
        ((*LONG[:2], ("assistant", "x")), "turns 2 and 3 are both the assistant's"),
        ((("system", "s"), ("user", "x"), *LONG), "turns 2 and 3 are both the user's"),
        ((LONG[0], ("system", "s"), *LONG[1:]), "turn 2 is the system's; it was expected before all others"),
        ((("user", " "), *LONG[1:]), "turn 1, the user's, is empty"),
        ((LONG[0], ("assistant", ""), *LONG[2:]), "turn 2, the assistant's, is empty"),
    ],
)
def test_turns_in_another_order_are_a_bad_row(turns: Any, said: str) -> None:
    with pytest.raises(RowProblem, match=said):
        told(*turns)


@pytest.mark.parametrize(
    ("turn", "said"),
    [
        ({"role": "tool", "content": "x"}, "turn 1 has the role 'tool'; calls of tools can't be learned"),
        ({"role": "assistant", "content": None, "tool_calls": [{}]}, "content of turn 1 is no text"),
        ({"role": "user", "content": [{"type": "video"}]}, "content of turn 1 is no text"),
        ({"content": "x"}, "turn 1 has the role 'None'"),
    ],
)
def test_turns_that_are_no_text(turn: Any, said: str) -> None:
    with pytest.raises(RowProblem, match=said):
        read_turns([turn])


def test_names_of_fields_and_roles() -> None:
    rows = [{"From": "Human", "Value": "a"}, {"role": None, "from": "gpt", "content": None, "value": "b", "name": "x"}]
    assert read_turns(rows, "conversations") == [
        Spoken("user", "a"),
        Spoken("assistant", "b", fields=("conversations.name",)),
    ]
    assert read_turns('[{"role": "user", "content": "a"}]') == [Spoken("user", "a")]
    assert read_turns({"role": "user", "content": "a"}) == [Spoken("user", "a")]


def test_reasoning_is_kept_of_answers_that_are_learned() -> None:
    spoken = read_turns(
        [
            {"role": "user", "content": "a", "weight": 1},
            {"role": "assistant", "content": "b", "thinking": "early"},
            {"role": "user", "content": "c"},
            {"role": "assistant", "content": "d", "reasoning_content": "late", "tool_calls": None},
        ]
    )
    dropped = conversation_of(spoken)
    assert (dropped.answer, dropped.unused) == (
        "d",
        ("messages.weight", "messages.thinking", "messages.reasoning_content"),
    )
    last = conversation_of(spoken, keep_reasoning=True)
    assert (last.turns[1].content, last.answer) == ("b", with_reasoning("late", "d"))
    assert last.unused == ("messages.weight", "messages.thinking")
    everything = conversation_of(spoken, keep_reasoning=True, learn_all=True)
    assert everything.turns[1] == Turn("assistant", "<think>\nearly\n</think>\n\nb", True)
    assert everything.unused == ("messages.weight",)


def test_history() -> None:
    assert read_history([["a", "b"]]) == [Spoken("user", "a"), Spoken("assistant", "b")]
    assert read_history('[["a", "b"]]') == read_history([("a", "b")])
    assert read_history(None) == read_history("") == read_history([]) == []
