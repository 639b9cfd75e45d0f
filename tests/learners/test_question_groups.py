from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inscl.contract import Question
from inscl.contract.example import Image, Turn
from inscl.learners.question_groups import grouped, joined

ALWAYS = lambda some: True  # noqa: E731


def asked(*counts: int) -> list[Question]:
    return [
        Question(f"Do {name}", f"input {k}", task=f"task {name}")
        for name, count in zip("abcdef", counts, strict=False)
        for k in range(count)
    ]


def texts(questions: Sequence[Question], groups: list[list[int]]) -> list[list[str]]:
    return [[questions[place].prompt for place in group] for group in groups]


def test_remaining_questions_form_a_smaller_group_and_one_alone_none() -> None:
    questions = asked(8, 5, 6)
    groups = grouped(questions, 5, "same", ALWAYS).together
    assert sorted(map(len, groups)) == [3, 5, 5, 5]
    assert all(len({questions[place].instruction for place in group}) == 1 for group in groups)
    # The sixth question of the last instruction is alone.
    assert len({place for group in groups for place in group}) == 18


def test_mixed_groups_are_full_whatever_the_instructions() -> None:
    questions = asked(3, 3, 3)
    groups = grouped(questions, 4, "mixed", ALWAYS).together
    assert sorted(map(len, groups)) == [4, 4]
    assert any(len({questions[place].instruction for place in group}) > 1 for group in groups)


@given(st.permutations(range(13)), st.sampled_from(["same", "mixed"]))
def test_groups_do_not_depend_on_the_order_of_the_questions(order: list[int], grouping: str) -> None:
    questions = asked(6, 7)
    turned = [questions[place] for place in order]
    first, second = (texts(some, grouped(some, 4, grouping, ALWAYS).together) for some in (questions, turned))
    assert sorted(first) == sorted(second)


def test_conversations_images_and_missing_inputs_are_in_no_group() -> None:
    turns = (Turn("user", "Hello"), Turn("assistant", "Hi"), Turn("user", "input 0"))
    odd = [Question("Do a", "x", turns), Question("Do a", "y", images=(Image("cat.png"),)), Question("Do a")]
    questions = [*odd, *asked(2)]
    assert [sorted(group) for group in grouped(questions, 5, "same", ALWAYS).together] == [[3, 4]]
    # A question without an input is one like any other where each brings its own instruction.
    assert [sorted(group) for group in grouped(questions, 5, "mixed", ALWAYS).together] == [[2, 3, 4]]


@pytest.mark.parametrize("most", [1, 2, 3, 7])
def test_a_group_that_does_not_fit_is_split_until_its_parts_do(most: int) -> None:
    questions = asked(16)
    groups = grouped(questions, 8, "same", lambda some: len(some) <= most).together
    assert all(2 <= len(group) <= most for group in groups)
    assert sum(map(len, groups)) == (0 if most == 1 else 16)
    unfitting = grouped(questions, 8, "same", lambda some: len(some) <= most).unfitting
    assert sorted(unfitting) == (list(range(16)) if most == 1 else [])
    whole = grouped(questions, 8, "same", ALWAYS).together
    assert [place for group in groups for place in group] == [place for group in whole for place in group if most > 1]


def test_what_fits_no_prompt_is_told_and_what_is_left_over_is_not() -> None:
    questions = [*asked(4), Question("Do a", "long", task="task a")]
    found = grouped(questions, 5, "same", lambda some: all(one.input != "long" for one in some))
    assert found.unfitting
    assert 4 in found.unfitting
    assert sorted([*(place for group in found.together for place in group), *found.unfitting]) == list(range(5))
    # The sixth question is alone since no other is left, not for want of room.
    assert grouped(asked(6), 5, "same", ALWAYS).unfitting == []


def test_questions_of_one_instruction_share_it() -> None:
    questions = [Question("Name the mood", text, options=("good", "bad"), task="mood") for text in ("yes!", "oh\nno")]
    shared = joined(questions, "Answer them")
    assert shared.prompt == (
        "Name the mood\n\nInput 1: yes!\n\nInput 2: oh\nno\n\nPossible answers: good, bad\n\nAnswer them"
    )
    assert (shared.task, shared.turns, shared.id) == ("mood", (), "")


def test_questions_of_several_instructions_bring_their_own() -> None:
    shared = joined([Question("Do a", "x", options=("p", "q"), task="a"), Question("Do b", task="b")], "Answer them")
    parts = ["Input 1: Do a\n\nx", "Input 2: Do b", "Answer them"]
    places = [shared.input.index(part) for part in parts]
    assert all(before < after for before, after in pairwise(places))
    assert "Possible answers" not in shared.prompt
    assert shared.task == ""
