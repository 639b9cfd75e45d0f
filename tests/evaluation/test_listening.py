"""Questions with their key part changed, against learners whose hearing is known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from inscl.contract import Answer, Example, LogLikelihood, Question, Task
from inscl.contract.traits import LearnerTraits
from inscl.evaluation.listening import chosen, key_parts_of, listening
from inscl.reports.listening import heard_by_task


class Deaf:
    """Answers by the input alone."""

    def answer(self, questions: Sequence[Question], max_new_tokens: int = 64) -> list[Answer]:
        return [Answer(question.input) for question in questions]


class Attentive(Deaf):
    """Answers by every word; right answers are likely only after the word French."""

    traits = LearnerTraits(log_likelihoods=True)

    def answer(self, questions: Sequence[Question], max_new_tokens: int = 64) -> list[Answer]:
        return [Answer(f"{question.instruction} | {question.input}") for question in questions]

    def log_likelihoods(self, questions: Sequence[Question], answers: Sequence[str]) -> list[LogLikelihood]:
        return [LogLikelihood(-1.0 if "French" in one.instruction else -9.0, 3, 3) for one in questions]


def made(instruction: str, inputs: str, **more: Any) -> list[Example]:
    return [Example(instruction, text, ("y",), **more) for text in inputs]


FRENCH = made("You are a kind and helpful assistant. Say it in French.", "ab")
SHOUT = made("Shout loudly, please", "cd", metadata={"key_parts": ["Shout", "whisper"]})
TASKS = {"french": 5, "shout": 5}
EXAMPLES = {"french": FRENCH, "shout": SHOUT}


def test_key_parts_by_the_data_by_likelihood_and_without_it() -> None:
    found = key_parts_of(Attentive(), [*FRENCH, *SHOUT])
    assert found == {FRENCH[0].instruction: ("Say it in French.",), SHOUT[0].instruction: ("Shout",)}
    # Without likelihoods the longest clause stands for it.
    longest = {FRENCH[0].instruction: ("You are a kind and helpful assistant.",), SHOUT[0].instruction: ("Shout",)}
    assert key_parts_of(Deaf(), [*FRENCH, *SHOUT]) == longest


def test_a_finder_comes_between_the_data_and_likelihood() -> None:
    def finder(texts: Sequence[str]) -> list[list[str]]:
        return [["kind"] if "kind" in text else ["loudly"] for text in texts]

    for learner in (Attentive(), Deaf()):
        found = key_parts_of(learner, [*FRENCH, *SHOUT], finder)
        assert found == {FRENCH[0].instruction: ("kind",), SHOUT[0].instruction: ("Shout",)}
    # Where it finds nothing, clauses are compared.
    assert key_parts_of(Attentive(), FRENCH, lambda texts: [[] for _ in texts]) == {
        FRENCH[0].instruction: ("Say it in French.",)
    }


@pytest.mark.parametrize(("learner", "changed"), [(Deaf(), 0), (Attentive(), 2)])
def test_what_changes_is_counted(learner: Any, changed: int) -> None:
    rows = listening(learner, TASKS, EXAMPLES, key_parts_of(Attentive(), [*FRENCH, *SHOUT]))
    assert [(row.task, row.input, row.other) for row in rows] == [
        ("french", "a", "Shout"),
        ("french", "b", "Shout"),
        ("shout", "c", "Say it in French."),
        ("shout", "d", "Say it in French."),
    ]
    for task in heard_by_task(rows, per_task=1):
        assert (task.asked, task.without, task.swappable, task.swapped, len(task.shown)) == (2, changed, 2, changed, 1)
    if changed:
        assert rows[0].prediction == f"{FRENCH[0].instruction} | a"
        assert rows[0].without == "You are a kind and helpful assistant. [...] | a"
        assert rows[0].swapped == "You are a kind and helpful assistant. Shout | a"


def test_with_one_task_nothing_is_put_in_place() -> None:
    rows = listening(Attentive(), {"french": 5}, {"french": FRENCH}, key_parts_of(Attentive(), FRENCH))
    assert [(row.other, row.swapped, row.changed_swapped, row.changed_without) for row in rows] == [
        ("", None, None, True)
    ] * 2
    (task,) = heard_by_task(rows)
    assert (task.swappable, task.swapped) == (0, 0)


def test_instructions_without_a_key_part_are_left_out() -> None:
    assert listening(Deaf(), TASKS, EXAMPLES, {}) == []
    only = listening(Deaf(), TASKS, EXAMPLES, {SHOUT[0].instruction: ("Shout",)})
    assert {(row.task, row.swapped) for row in only} == {("shout", None)}


def test_the_sample_is_fixed_and_part_of_a_larger_one() -> None:
    task = Task("t", (), tuple(made("Do it.", "abcdefgh")))
    assert {one.id for one in chosen(task, 3)} < {one.id for one in chosen(task, 5)}
    assert chosen(task, 20) == list(task.test)


def test_white_space_is_no_change() -> None:
    (row,) = listening(Spaced(), {"french": 5}, {"french": FRENCH[:1]}, {FRENCH[0].instruction: ("French",)})
    assert row.without != row.prediction
    assert not row.changed_without


class Spaced(Deaf):
    def answer(self, questions: Sequence[Question], max_new_tokens: int = 64) -> list[Answer]:
        return [Answer("a b" if "[...]" in question.instruction else "a  b ") for question in questions]
