"""The input and the result of a measure on a task's test split."""

from __future__ import annotations

from dataclasses import dataclass

from inscl.contract.answer import Answer, LogLikelihood
from inscl.contract.question import Question

__all__ = ["Asked", "Measured", "Undefined"]


@dataclass(frozen=True)
class Asked:
    """One test example and the learner's answer to it.

    Attributes:
        question: What was asked.
        references: Right answers; the first one is what the likelihood is of.
        answer: What was said; its text is empty unless a measure needs text.
        likelihood: Of the first reference; None unless a measure needs it.
    """

    question: Question
    references: tuple[str, ...]
    answer: Answer
    likelihood: LogLikelihood | None = None


@dataclass(frozen=True)
class Measured:
    """A number with its uncertainty.

    Attributes:
        value: In the measure's unit; a ``percent`` is given in [0, 1].
        standard_error: In the same unit; None where it isn't known, as for a single example.
        n: Examples that it is of.
        by_row: A value for each example, in order; empty where there is none, as for the area under a curve.
    """

    value: float
    standard_error: float | None
    n: int
    by_row: tuple[float, ...] = ()


@dataclass(frozen=True)
class Undefined:
    """A measure that is undefined for a task; it is reported and never counted as 0.

    Attributes:
        reason: Why, as a clause: "its questions have no options".
    """

    reason: str
