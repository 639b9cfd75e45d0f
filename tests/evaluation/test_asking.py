"""What an interrupted evaluation has asked is not asked again, and comes back as it was."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from threading import Lock

import pytest

from inscl.contract import Answer, LogLikelihood, Question
from inscl.contract.example import Image
from inscl.errors import InsclError
from inscl.evaluation.asking import ResumableAsking

QUESTIONS = [Question("Is it?", str(k), options=("yes", "no"), task="closed") for k in range(3)]


class Thinker:
    """Each time it is asked it thinks otherwise, so that a second time is noticed."""

    def __init__(self, short: int = 0) -> None:
        self.times, self.short = 0, short

    def _numbers(self, questions):
        self.times += 1
        return [self.times + k / 3 for k in range(len(questions) - self.short)]

    def answer(self, questions, max_new_tokens=64):
        return [Answer(str(number), None, 10 + k, 2) for k, number in enumerate(self._numbers(questions))]

    def log_likelihoods(self, questions, answers):
        return [LogLikelihood(-number, 3, 1) for number in self._numbers(questions)]

    def choose(self, questions, normalise=True):
        return [(-number, -0.1) for number in self._numbers(questions)]


ASKED = {
    "answers": lambda asking, questions: asking.answers(questions, 8),
    "likelihoods": lambda asking, questions: asking.likelihoods(questions, ["yes"] * len(questions)),
    "choices": lambda asking, questions: asking.choices(questions),
}


@pytest.mark.parametrize("what", ASKED)
def test_what_was_answered_is_kept_to_the_last_bit(tmp_path: Path, what: str) -> None:
    thinker = Thinker()
    first = ASKED[what](ResumableAsking(thinker, tmp_path), QUESTIONS)
    assert ASKED[what](ResumableAsking(thinker, tmp_path), QUESTIONS) == first
    assert thinker.times == 1
    # Other questions, or the same with nothing kept, are asked.
    ASKED[what](ResumableAsking(thinker, tmp_path), QUESTIONS[:2])
    assert ASKED[what](ResumableAsking(thinker), QUESTIONS) != first
    assert thinker.times == 3


@pytest.mark.parametrize("what", ASKED)
def test_another_picture_is_another_question(tmp_path: Path, what: str) -> None:
    thinker = Thinker()
    # As with examples from a store: whatever gives the bytes can't be copied or written.
    images = [Image("a.png", f"{k}" * 64, Lock().acquire) for k in range(2)]
    asked = [[replace(question, images=(image,)) for question in QUESTIONS] for image in images]
    first = ASKED[what](ResumableAsking(thinker, tmp_path), asked[0])
    assert ASKED[what](ResumableAsking(thinker, tmp_path), asked[0]) == first
    assert ASKED[what](ResumableAsking(thinker, tmp_path), asked[1]) != first
    assert thinker.times == 2


def test_one_kind_is_never_taken_for_another(tmp_path: Path) -> None:
    thinker = Thinker()
    for ask in ASKED.values():
        ask(ResumableAsking(thinker, tmp_path), QUESTIONS)
    assert thinker.times == 3
    ASKED["likelihoods"](ResumableAsking(thinker, tmp_path), QUESTIONS)
    ResumableAsking(thinker, tmp_path).likelihoods(QUESTIONS, ["no"] * 3)
    assert thinker.times == 4


@pytest.mark.parametrize("what", ASKED)
def test_too_few_are_refused_and_not_kept(tmp_path: Path, what: str) -> None:
    with pytest.raises(InsclError, match="gave 2 answers to 3 questions of 'closed'"):
        ASKED[what](ResumableAsking(Thinker(short=1), tmp_path), QUESTIONS)
    assert list(tmp_path.iterdir()) == []
