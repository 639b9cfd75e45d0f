from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from inscl.contract import Example, Memory, Stream, Task

ANY_TEXT = st.text(st.characters(codec=None), max_size=20)


@given(ANY_TEXT, ANY_TEXT, st.lists(ANY_TEXT, min_size=1, max_size=3), ANY_TEXT)
def test_json_round_trip_of_any_text(instruction: str, text: str, outputs: list[str], source: str) -> None:
    example = Example(instruction, text, tuple(outputs), "t", source)
    again = Example.from_json(example.to_json())
    assert again == example
    assert again.id == example.id
    assert example.output == outputs[0]


def test_the_id_is_of_the_content_alone() -> None:
    a = Example("q", "i", ("x", "y"), "one", "file:1")
    assert a.id == Example("q", "i", ("x", "y"), "two", "file:2").id
    others = [Example("q", "i", ("y", "x")), Example("qi", "", ("x", "y")), Example("q", "i", ("xy",))]
    assert a.id not in {other.id for other in others}
    # Pinned: splits by content must stay the same for ever.
    assert Example("Say hi.", "", ("hi",)).id == "53b433cc602af5dd"


def test_the_plain_prompt() -> None:
    assert Example("Sum.", "1 2", ("3",)).prompt == "Sum.\n\n1 2"
    assert Example("Say hi.", "", ("hi",)).prompt == "Say hi."


def test_instructions_are_counted_in_order_of_appearance() -> None:
    task = Task("t", tuple(Example(text, str(k), ("x",)) for k, text in enumerate("bab")))
    assert task.instruction_counts == {"b": 2, "a": 1}
    assert task.instructions == ("b", "a")
    assert Stream((task,)).names == ("t",)
    assert len(Stream((task,))) == 1


def test_a_memory_that_includes_a_task_leaves_the_other_as_it_was() -> None:
    empty = Memory()
    one = empty.including(Task("t", ()), {"a": np.ones(2, np.float32)}, {"a": ("x",)})
    assert len(empty) == 0
    assert len(one) == 1
    assert one.including(Task("u", ())).tags == {"a": ("x",)}
