"""OverPrompt (arXiv 2305.14973): several inputs in one prompt, around any other learner."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

from inscl.config import kinds, wrapping
from inscl.contract import Answer, Example, LogLikelihood, Question, Task
from inscl.contract.plan import ReplayPlan
from inscl.contract.seams import Learner, LearnReport, NullProgress, Progress
from inscl.contract.traits import LearnerTraits, traits_of
from inscl.learners.answer_formats import FORMATS
from inscl.learners.question_groups import GROUPINGS, grouped, joined
from inscl.learners.settings import check

__all__ = ["OverPrompt"]

_AROUND = 12
"""Tokens of an answer's number, quotes and separators, at most: a tokenizer of single bytes takes 10 for JSON's."""


class OverPrompt:
    """Ask another learner several questions in one prompt; ask missing answers again singly.

    The instruction stands in the prompt once for up to `n` inputs, which saves tokens and time. Learning, state,
    likelihoods and choices are the other learner's. With ``n=1`` its answers are, too.

    Args:
        learner: The learner that is taught and asked: a name, ``{"name": ..., "params": {...}}``, or an object.
        n: Most questions of a prompt.
        answer_format: ``json`` (an object whose keys are the numbers of the inputs, from 1) or ``plain`` (numbered
            lines); see `inscl.learners.answer_formats`.
        groups: ``same`` (the questions of a prompt have one instruction) or ``mixed``; see
            `inscl.learners.question_groups`.
        max_length: Most tokens of a prompt and its answers. A group is split that has more, or more than the other
            learner's context holds, provided that it counts tokens and measures its room; what fits no shared prompt is
            asked singly, which is told.
        progress: Who is told.
        make_learner: Makes a learner from its name and parameters. Default: with nothing but these parameters.

    Raises:
        ConfigError: Settings that can't be, all of them at once.
    """

    traits = LearnerTraits(wraps=True)

    def __init__(
        self,
        learner: str | Mapping[str, Any] | Learner = "fine_tune",
        *,
        n: int = 5,
        answer_format: str = "json",
        groups: str = "same",
        max_length: int = 1024,
        progress: Progress | None = None,
        make_learner: Callable[[str, Mapping[str, Any]], Learner] | None = None,
    ) -> None:
        choices = {"answer_format": (answer_format, tuple(FORMATS)), "groups": (groups, GROUPINGS)}
        check(choices, {"n": (n, 1)}, {}, "overprompt")
        self._n, self._format, self._groups = n, FORMATS[answer_format], groups
        self.progress: Progress = progress or NullProgress()
        self.learner: Any = learner
        if isinstance(learner, str | Mapping):
            name, params = wrapping.name_and_params(learner)
            self.learner = (make_learner or _made)(name, params)
            max_length = min(max_length, params.get("max_length", max_length))
        self._max_length = max_length
        self.traits = replace(traits_of(self.learner, LearnerTraits), wraps=True)

    def answer(self, questions: Sequence[Question], max_new_tokens: int = 64) -> list[Answer]:
        """Answers in the order of the questions, from shared prompts where possible.

        An answer from a shared prompt counts its share of the tokens of prompt and reply; one that was asked again
        singly counts those of both.

        Args:
            questions: m questions.
            max_new_tokens: Longest answer to one question, tokens.
        """
        together = self._answer_together(questions, max_new_tokens)
        singly = [place for place in range(len(questions)) if place not in together or not together[place].text]
        again = [place for place in singly if place in together]
        alone = self.learner.answer([questions[place] for place in singly], max_new_tokens) if singly else []
        answers = {**together, **dict(zip(singly, alone, strict=True))}
        for place in again:
            answers[place] = _with_tokens_of(answers[place], together[place])
        if again:
            self.progress.note(
                f"{len(again)} of {len(together)} answers from shared prompts were missing or malformed and were asked "
                "again singly"
            )
        return [answers[place] for place in range(len(questions))]

    def _answer_together(self, questions: Sequence[Question], max_new_tokens: int) -> dict[int, Answer]:
        """Place -> answer, of all questions that share a prompt; the text is empty where it is missing."""
        by_size: dict[int, list[list[int]]] = {}
        parts = grouped(questions, self._n, self._groups, lambda some: self._fits(some, max_new_tokens))
        for places in parts.together:
            by_size.setdefault(len(places), []).append(places)
        if parts.unfitting:
            self.progress.note(
                f"{len(parts.unfitting)} of {len(questions)} questions were asked singly, since no shared prompt had "
                "room for them and their answers"
            )
        found: dict[int, Answer] = {}
        # Longest answers depend on a group's size, so each size is one call.
        for size, groups in sorted(by_size.items()):
            asked = [self._join([questions[place] for place in places]) for places in groups]
            replies = self.learner.answer(asked, _longest_reply(size, max_new_tokens))
            for places, reply in zip(groups, replies, strict=True):
                texts = self._format.parse(reply.text, size, self._may_be_cut(reply, size, max_new_tokens))
                for number, place in enumerate(places, start=1):
                    shares = (_share(count, number, size) for count in (reply.prompt_tokens, reply.answer_tokens))
                    found[place] = Answer(texts.get(number, ""), None, *shares)
        return found

    def _may_be_cut(self, reply: Answer, size: int, max_new_tokens: int) -> bool:
        """Whether a reply is as long as replies may be; a learner may keep half of its context for the prompt."""
        most = min(_longest_reply(size, max_new_tokens), self._max_length - self._max_length // 2)
        if self.traits.measures_room:
            # Its context may be shorter than `max_length`, and part of it may be taken.
            most = min(most, self.learner.room_for(Question("")) // 2)
        return reply.answer_tokens is not None and reply.answer_tokens >= most

    def _join(self, questions: Sequence[Question]) -> Question:
        return joined(questions, self._format.request.format(n=len(questions)))

    def _fits(self, questions: Sequence[Question], max_new_tokens: int) -> bool:
        """Whether a prompt of these questions and its reply fit, as far as the other learner can tell."""
        asked, reply = self._join(questions), _longest_reply(len(questions), max_new_tokens)
        if self.traits.measures_room and self.learner.room_for(asked) < reply:
            return False
        if not self.traits.counts_tokens:
            return True
        read: int = self.learner.count_tokens(Example(asked.instruction, asked.input, ("",), asked.task))
        return read + reply <= self._max_length

    def learn(self, task: Task, plan: ReplayPlan) -> LearnReport:
        """Teach the other learner."""
        report: LearnReport = self.learner.learn(task, plan)
        return report

    def save(self, folder: Path) -> None:
        """Save the other learner's state."""
        self.learner.save(folder)

    def load(self, folder: Path) -> None:
        """Load the other learner's state."""
        self.learner.load(folder)

    def log_likelihoods(self, questions: Sequence[Question], answers: Sequence[str]) -> list[LogLikelihood]:
        """How likely the other learner finds each answer; each question is asked singly."""
        found: list[LogLikelihood] = self.learner.log_likelihoods(questions, answers)
        return found

    def choose(self, questions: Sequence[Question], normalise: bool = True) -> list[tuple[float, ...]]:
        """How likely the other learner finds each option; each question is asked singly."""
        found: list[tuple[float, ...]] = self.learner.choose(questions, normalise=normalise)
        return found

    def keeping_prompts(self) -> AbstractContextManager[None]:
        """The block in which the other learner keeps what it has read."""
        kept: AbstractContextManager[None] = self.learner.keeping_prompts()
        return kept

    def room_for(self, question: Question) -> int:
        """Tokens that the other learner's context leaves for an answer."""
        room: int = self.learner.room_for(question)
        return room

    def count_tokens(self, example: Example) -> int:
        """Tokens of an example as the other learner sees it."""
        count: int = self.learner.count_tokens(example)
        return count

    @property
    def log(self) -> list[dict[str, Any]]:
        """The other learner's log of the last stage."""
        rows: list[dict[str, Any]] = self.learner.log
        return rows

    @property
    def progress_dir(self) -> Path | None:
        """Where the other learner keeps what it has finished, shared prompts among it."""
        folder: Path | None = self.learner.progress_dir
        return folder

    @progress_dir.setter
    def progress_dir(self, folder: Path | None) -> None:
        self.learner.progress_dir = folder

    @property
    def measure_visits(self) -> bool:
        """Whether the other learner reports the losses of examples in training."""
        measures: bool = self.learner.measure_visits
        return measures

    @measure_visits.setter
    def measure_visits(self, measures: bool) -> None:
        self.learner.measure_visits = measures


def _made(name: str, params: Mapping[str, Any]) -> Learner:
    made: Learner = kinds.create("learners", name, params)
    return made


def _longest_reply(size: int, max_new_tokens: int) -> int:
    return size * (max_new_tokens + _AROUND)


def _share(count: int | None, number: int, size: int) -> int | None:
    """What falls to one of `size` answers (`number` from 1), so that the shares sum to the count."""
    return None if count is None else count * number // size - count * (number - 1) // size


def _with_tokens_of(answer: Answer, before: Answer) -> Answer:
    """An answer that counts the tokens of an earlier try as well."""
    return replace(
        answer,
        prompt_tokens=_sum(answer.prompt_tokens, before.prompt_tokens),
        answer_tokens=_sum(answer.answer_tokens, before.answer_tokens),
    )


def _sum(one: int | None, other: int | None) -> int | None:
    return None if one is None or other is None else one + other
