"""How much demonstrations are worth: how well held-out questions are answered after them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import cast

from inscl.contract import Example, Question
from inscl.contract.seams import Scorer
from inscl.learners.asking import Asking
from inscl.learners.demonstrations.grader import Graded, Grader
from inscl.learners.demonstrations.layout import Layout

__all__ = ["Value"]


@dataclass(frozen=True)
class Value:
    r"""The value of demonstrations D on held-out examples H; higher is better.

    .. math:: v(D) = \frac{1}{|H|} \sum_{(x, y) \in H} \frac{\ln p(y \mid D, x)}{|y|}

    or the mean score of greedy answers, by a scorer or, as in the paper, by a judge.

    Attributes:
        asking: The model.
        layout: How demonstrations are shown.
        scorer: Scores a greedy answer; None takes the likelihood of the first references.
        grader: Grades greedy answers in place of a scorer.
    """

    asking: Asking
    layout: Layout
    scorer: Scorer | None
    grader: Grader | None = None

    def __call__(self, demonstrations: Sequence[Example], held_out: Sequence[Example]) -> float:
        """The value of `demonstrations`; those that a question has no room for are left out there."""
        answers = [len(self.asking.encoder.answer(example.output)) for example in held_out]
        if self.scorer is None and self.grader is None:
            rooms = [self.asking.max_length - length for length in answers]
            shown = self._shown(demonstrations, held_out, rooms)
            found = self.asking.log_likelihoods(shown, [example.output for example in held_out])
            return -fmean(one.loss for one in found)
        room = self.asking.room_beside(self._shown((), held_out, [0] * len(held_out)), max(answers))
        longest = min(max(answers), self.asking.max_length - room)
        shown = self._shown(demonstrations, held_out, [room] * len(held_out))
        written = self.asking.answer(shown, longest, over=self.layout.over)
        said = [self.layout.ended(answer, longest).text for answer in written]
        pairs = list(zip(said, held_out, strict=True))
        if self.grader is not None:
            return fmean(self.grader([Graded(one.instruction, one.input, one.output, text) for text, one in pairs]))
        scorer = cast("Scorer", self.scorer)
        return fmean(scorer(text, example.outputs) for text, example in pairs)

    def _shown(
        self, demonstrations: Sequence[Example], held_out: Sequence[Example], rooms: Sequence[int]
    ) -> list[Question]:
        pairs = zip(held_out, rooms, strict=True)
        return [self.layout.shown(demonstrations, Question.of(example), room)[0] for example, room in pairs]
