from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from inscl.contract import Example, Question
from inscl.learners.demonstrations.choosing import FIT
from inscl.learners.demonstrations.kept import Kept, KeptTask
from inscl.learners.demonstrations.layout import Layout
from inscl.learners.demonstrations.prompting import Prompting
from inscl.models.prompts import PromptEncoder
from inscl.testing.made import fake_embedder
from learners.taught import Heard

TASKS = {
    name: KeptTask(tuple(Example(name, letter * 3, (letter,)) for letter in letters), (name,))
    for name, letters in (("first", "abcd"), ("second", "xyz"))
}
QUESTIONS = [Question("first", "bb"), Question("second", "zz"), Question("first", "dd")]


@pytest.fixture
def prompting(tiny_model: Path) -> Any:
    from transformers import AutoTokenizer

    layout = Layout(PromptEncoder(AutoTokenizer.from_pretrained(tiny_model)))

    def made(**settings: Any) -> Prompting:
        defaults = {"nearest": False, "k": 2, "context": 1000, "progress": Heard()}
        return Prompting(Kept(TASKS), layout, fake_embedder, **{**defaults, **settings})

    return made


def answers(prompting: Prompting, rooms: Sequence[int], questions: Sequence[Question] = QUESTIONS) -> list[list[str]]:
    """The answers of the demonstrations that each question has."""
    calls: list[list[int]] = []

    def ask(shown: Sequence[Question], places: Sequence[int]) -> list[list[str]]:
        calls.append(list(places))
        return [[turn.content for turn in one.turns if turn.role == "assistant"] for one in shown]

    found = prompting.asked(questions, rooms, ask)
    assert sorted(place for places in calls for place in places) == list(range(len(questions)))
    assert all(len({questions[place].instruction for place in places}) == 1 for places in calls)
    return found


def test_the_first_of_its_task_or_those_most_like_it(prompting: Any) -> None:
    assert answers(prompting(), [900] * 3) == [["a", "b"], ["x", "y"], ["a", "b"]]
    assert answers(prompting(nearest=True, k=1), [900] * 3) == [["b"], ["z"], ["d"]]
    assert answers(prompting(k=FIT), [900] * 3) == [list("abcd"), list("xyz"), list("abcd")]
    assert answers(prompting(k=0), [900] * 3) == [[], [], []]


def test_what_has_no_room_is_told(prompting: Any) -> None:
    one = prompting()
    assert answers(one, [900, 50, 900]) == [["a", "b"], [], ["a", "b"]]
    assert one.progress.notes == [
        "not all prompts have room for 2 demonstrations in 1000 tokens: 2 of 6 were left out; raise "
        "training.max_length, or lower training.params.k"
    ]
    most = prompting(k=FIT)
    answers(most, [900, 80, 900])
    assert most.progress.notes == ["as fit 1000 tokens, prompts hold 1 to 4 demonstrations"]


def test_no_questions_and_nothing_kept(prompting: Any) -> None:
    assert prompting().asked([], [], lambda shown, places: [1 / 0]) == []
    empty = Prompting(Kept(), prompting().layout, fake_embedder, True, 2, 9, Heard())
    assert answers(empty, [900] * 3, QUESTIONS[:1] * 3) == [[], [], []]
