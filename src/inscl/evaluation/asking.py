"""What a learner says, and how likely it finds answers and options; what an interrupted evaluation asked is kept."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, cast

from inscl.contract import Answer, LogLikelihood, Question
from inscl.contract.seams import Choosing, KeepingPrompts, Learner, Likelihoods
from inscl.contract.traits import LearnerTraits, traits_of
from inscl.errors import InsclError
from inscl.storage.run.progress import Answers

__all__ = ["ResumableAsking"]


class ResumableAsking:
    """Asks a learner in one state; nothing that it has answered already is asked again.

    Args:
        learner: Who is asked. It must declare the traits of what it is asked for.
        kept: Folder in which answers are kept as soon as they are there, for an evaluation that is interrupted and
            begun again with the same state of the learner; the caller empties it. None keeps none.

    Attributes:
        seconds: What the last call took, wall time.
    """

    def __init__(self, learner: Learner, kept: Path | None = None) -> None:
        self.learner, self.kept = learner, kept
        self.seconds = 0.0

    @contextmanager
    def together(self) -> Iterator[None]:
        """The block in which the same questions are asked for several things: a learner that can keeps what it read."""
        keeps = traits_of(self.learner, LearnerTraits).keeps_prompts
        with cast(KeepingPrompts, self.learner).keeping_prompts() if keeps else nullcontext():
            yield

    def answers(self, questions: Sequence[Question], longest: int) -> list[Answer]:
        """Generated answers with the tokens that were read and written for them, of at most `longest` tokens, in order.

        Raises:
            InsclError: The learner gave another number of answers than it was asked.
        """
        found = self._once(
            ["text", _plain(questions), longest],
            questions,
            lambda: [
                [answer.text, answer.prompt_tokens, answer.answer_tokens]
                for answer in self.learner.answer(questions, max_new_tokens=longest)
            ],
        )
        return [Answer(text, None, read, written) for text, read, written in found]

    def likelihoods(self, questions: Sequence[Question], answers: Sequence[str]) -> list[LogLikelihood]:
        """How likely each answer is after its question; raises as `answers` does."""
        learner = cast(Likelihoods, self.learner)
        found = self._once(
            ["likelihood", _plain(questions), list(answers)],
            questions,
            lambda: [asdict(one) for one in learner.log_likelihoods(questions, answers)],
        )
        return [LogLikelihood(**one) for one in found]

    def choices(self, questions: Sequence[Question]) -> list[tuple[float, ...]]:
        """Log-probabilities over the options of each question; raises as `answers` does."""
        learner = cast(Choosing, self.learner)
        found = self._once(
            ["choice", _plain(questions)],
            questions,
            lambda: [list(known) for known in learner.choose(questions)],
        )
        return [tuple(known) for known in found]

    def _once(self, key: list[Any], questions: Sequence[Question], ask: Callable[[], list[Any]]) -> list[Any]:
        began = time.perf_counter()
        answers = Answers(self.kept, key)
        found = answers.read().get("all")
        if found is None or len(found) != len(questions):
            found = ask()
            if len(found) != len(questions):
                names = ", ".join(dict.fromkeys(repr(question.task) for question in questions))
                raise InsclError(
                    f"the learner gave {len(found)} answers to {len(questions)} questions of {names} ({key[0]})"
                )
            answers.keep("all", found)
        self.seconds = time.perf_counter() - began
        return found


def _plain(questions: Sequence[Question]) -> list[dict[str, Any]]:
    """Questions as JSON; of a picture that is its name and its digest."""
    shown = ([image.to_json() for image in question.images] for question in questions)
    return [{**asdict(replace(one, images=())), "images": images} for one, images in zip(questions, shown, strict=True)]
