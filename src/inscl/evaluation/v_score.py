"""How many of the constraints of its instruction an answer keeps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from inscl.contract.key_parts import KEY_PARTS, clauses
from inscl.contract.measured import Asked, Measured, Undefined
from inscl.contract.question import Question
from inscl.contract.reference_format import ReferenceFormat, learn_format
from inscl.contract.seams import Progress
from inscl.contract.traits import MeasureTraits
from inscl.evaluation.constraint_judge import Case, ConstraintJudge
from inscl.evaluation.measures import mean_of
from inscl.llm.settings import LLMSettings

__all__ = ["VScore"]

_MOST_PARTS = 8  # of an instruction whose key parts nobody named


class VScore:
    r"""The mean share of constraints that an answer keeps: instruction following.

    .. math:: V = \frac1n \sum_{i=1}^n \frac{\#\{\text{constraints that answer } i \text{ keeps}\}}
        {\#\{\text{constraints of question } i\}}

    A reconstruction of the V-score of *Don't Half-listen* (arXiv 2403.10056), whose definition wasn't at hand. What a
    constraint is, is a choice of this package:

    - Where the task's references are one of a few labels, JSON, or numbers, a program checks that (for JSON: that it is
      JSON, and each of the keys that all references have).
    - Otherwise, with a judge, the key parts of the instruction: those that a row's metadata ``key_parts`` name and that
      occur in it, else its clauses, at most eight. The judge is asked about each.
    - Otherwise, that the answer is about as long as the references: half the words of the shortest to twice those of
      the longest, and on one line if they all are.

    Whether the answer is right doesn't count. An answer without text keeps nothing.

    Args:
        judge: ``evaluation.judge``, the language model that is asked; None asks nobody.
        progress: Told what the judge is asked.
    """

    traits = MeasureTraits(needs="text")

    def __init__(self, judge: Any = None, progress: Progress | None = None) -> None:
        self._settings = None if judge is None else LLMSettings.read(judge, "evaluation.judge")
        self._progress = progress
        self._judge: ConstraintJudge | None = None

    def __call__(self, rows: Sequence[Asked]) -> Measured | Undefined:
        """Measure a task, with the standard error of a mean; undefined where nothing says what its constraints are."""
        known = learn_format([reference for row in rows for reference in row.references[:1]])
        if known is not None and (known.is_closed or self._settings is None):
            return mean_of([_share(known.kept(row.answer.text)) for row in rows])
        if self._settings is None:
            return Undefined(
                "its references are too few to show a format (5 of labels, JSON or numbers, else 10), and "
                "evaluation.judge names no language model"
            )
        return self._judged(rows, self._settings, known)

    def _judged(
        self, rows: Sequence[Asked], settings: LLMSettings, known: ReferenceFormat | None
    ) -> Measured | Undefined:
        """By the judge; a question whose instruction has no words is measured by the format, if that is known."""
        parts = [_parts(row.question) for row in rows]
        if known is None and not all(parts):
            return Undefined("an instruction of it has no words that a judge could be asked about")
        cases = [
            Case(row.question.instruction, row.question.input, part, row.answer.text)
            for row, own in zip(rows, parts, strict=True)
            for part in own
            if row.answer.text.strip()
        ]
        self._judge = self._judge or ConstraintJudge(settings, self._progress)
        kept = iter(self._judge(cases))
        shares = []
        for row, own in zip(rows, parts, strict=True):
            if not row.answer.text.strip():
                shares.append(0.0)
            elif own:
                shares.append(_share([next(kept) for _ in own]))
            elif known is not None:
                shares.append(_share(known.kept(row.answer.text)))
        return mean_of(shares)


def _parts(question: Question) -> list[str]:
    """What of an instruction a judge is asked about."""
    given = question.metadata.get(KEY_PARTS)
    named = given if isinstance(given, list | tuple) else ()
    found = [part for part in named if isinstance(part, str) and part.strip() and part in question.instruction]
    return found or clauses(question.instruction, _MOST_PARTS)


def _share(kept: Sequence[bool]) -> float:
    return sum(kept) / len(kept)
