from __future__ import annotations

import re

import pytest

from inscl.contract.example import Turn
from inscl.data.columns import RowProblem
from inscl.data.markers import all_lead, with_markers, without_leading


@pytest.mark.parametrize(
    ("asked", "count", "lead"),
    [
        (["What is it?"], 1, False),
        (["<image>\nWhat is it?"], 1, True),
        (["<image><image>\n\nWhich is larger?", "And now?"], 2, True),
        (["Compare <image> with <image>."], 2, False),
        (["<image> What?", "And <image>?"], 2, False),
        (["<image>"], 1, False),
    ],
)
def test_markers_that_stand_before_everything_say_nothing(asked: list[str], count: int, lead: bool) -> None:
    assert all_lead(asked, ["It is a cat."], count) is lead


def test_a_text_without_its_first_markers() -> None:
    assert without_leading("<image>\nWhat is it?") == "What is it?"
    assert without_leading(" <image> <image>\nIs <image>?") == "Is <image>?"
    assert without_leading("What?\n<image>") == "What?\n<image>"
    assert without_leading("<image>\n") == "<image>\n"


@pytest.mark.parametrize(
    ("asked", "others", "said"),
    [
        (["<image> What?"], [], "2 pictures and 1 marker <image>"),
        (["<image><image><image> What?"], [], "2 pictures and 3 markers <image>"),
        (["What?"], ["See <image>."], "in a text that isn't the user's"),
    ],
)
def test_markers_that_fit_no_picture_are_refused(asked: list[str], others: list[str], said: str) -> None:
    with pytest.raises(RowProblem, match=re.escape(said)):
        all_lead(asked, others, 2)


def test_other_trainers_get_a_marker_for_each_picture() -> None:
    asked = (Turn("system", "Be brief."), Turn("user", "Which?"), Turn("assistant", "A", True), Turn("user", "Why?"))
    marked = with_markers(asked, 2)
    assert [turn.content for turn in marked] == ["Be brief.", "<image><image>\nWhich?", "A", "Why?"]
    assert with_markers(marked, 2) == marked
    assert with_markers(asked, 0) == asked
