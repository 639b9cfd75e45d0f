"""What the strategy `pseudo` notes of a task that was just learned: how sure the model is, use cases, a writer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from inscl.contract import Example, Question, Task
from inscl.contract.described import Described, UseCase
from inscl.contract.noted import Noted
from inscl.contract.plan import ReplayPlan
from inscl.contract.seams import Learner, Likelihoods, Persistent
from inscl.contract.traits import LearnerTraits, traits_of
from inscl.replay.pseudo_asking import LETTERS, writing_prompt

__all__ = ["Encode", "LossesAfter", "described", "encoded", "measures", "nearly_all", "taught_to_write"]

Encode = Callable[[Sequence[Example]], Sequence[tuple[str, tuple[str, ...]]]]

_MEASURED = 64  # train rows of a task whose answers' likelihood is measured
_ENCODED = 20  # train rows that a language model is shown, as CodecLM's refiner does by default
_SURE = 0.1  # nats a token: an answer that is likelier than that is never dropped


def _spread(task: Task, most: int) -> list[Example]:
    """At most so many train examples, evenly over the split."""
    places = np.unique(np.linspace(0, len(task.train) - 1, min(most, len(task.train))).astype(int))
    return task.examples_at(places.tolist())


def nearly_all(task: Task, losses: Callable[[Sequence[Example]], NDArray[np.float64]], share: float) -> float:
    """Nats an answer token within which the model answers that share of the task's examples."""
    return max(_SURE, float(np.quantile(losses(_spread(task, _MEASURED)), share)))


def encoded(task: Task, encode: Encode) -> list[UseCase]:
    """Use cases and skills of some examples; conversations and pictures aren't shown."""
    rows = [example for example in _spread(task, _ENCODED) if not example.turns and not example.images]
    return [UseCase(name, tuple(skills)) for name, skills in encode(rows)] if rows else []


def taught_to_write(learner: Learner, task: Task, longest: int, folder: Path) -> bool:
    """Teach a learner to write inputs as a task has them, and keep its state; False where the task has none.

    What it is asked is what it will be asked: the instruction, the most words, and the first letter.
    """
    told = Described.of(task)
    most = min(told.input_words, longest)
    if told.conversations or not most:
        return False
    rows = [example for example in task.train if 0 < len(example.input.split()) <= longest]
    if not rows:
        return False
    shown = [
        Example(writing_prompt(most, _letter(row.input), row.instruction), "", (row.input,), task.name) for row in rows
    ]
    learner.learn(Task(task.name, tuple(shown)), ReplayPlan(task.name, "none"))
    cast(Persistent, learner).save(folder)
    return True


def described(task: Task, noted: Noted | None) -> Described:
    """The description of a task with what was noted of it."""
    facts = {} if noted is None else {name: value for row in noted.facts for name, value in row.items()}
    cases = () if noted is None else tuple(_use_case(row) for row in noted.facts if "use_case" in row)
    return replace(Described.of(task), use_cases=cases, answer_loss=facts.get("answer_loss"))


def _use_case(row: Mapping[str, Any]) -> UseCase:
    return UseCase(row["use_case"], tuple(row["skills"]))


def _letter(text: str) -> str:
    """The first letter of a text, where it is one of those that are drawn."""
    return next((letter for letter in text.upper() if letter in LETTERS), LETTERS[0])


class LossesAfter:
    """How unlikely answers are for the model as it was right after a task; it is loaded when it is first asked.

    Args:
        task: What is known of the task.
        noted: What its stage left.
        new_learner: Makes a learner that has learned nothing.

    Attributes:
        most: Nats an answer token above which an answer is dropped; None where that can't be told.
        missing: Why it can't be told; empty where it can.
    """

    def __init__(self, task: Described, noted: Noted | None, new_learner: Callable[[], Learner] | None) -> None:
        self._restore, self._new = None if noted is None else noted.restore, new_learner
        self._learner: Learner | None = None
        self.missing = ""
        if task.answer_loss is None:
            self.missing = "how likely the task's own answers are was not measured when it was learned"
        elif self._restore is None:
            self.missing = "the model right after the task was not kept"
        self.most = None if self.missing else task.answer_loss

    def __call__(self, questions: Sequence[Question], answers: Sequence[str]) -> list[float]:
        """Nats a token of each answer."""
        if self._learner is None:
            assert self._new is not None
            assert self._restore is not None
            self._learner = self._new()
            self._restore(self._learner)
        return [one.loss for one in cast(Likelihoods, self._learner).log_likelihoods(questions, answers)]


def measures(new_learner: Callable[[], Learner] | None) -> bool:
    """Whether learners can tell how likely answers are; making one loads no weights."""
    return new_learner is not None and traits_of(new_learner(), LearnerTraits).log_likelihoods
