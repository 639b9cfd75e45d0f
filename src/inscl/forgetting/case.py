"""Answers that a model had and lost: which they are, and whether the new ones still attempt what was asked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol, TypeVar

from inscl.contract.scale import PERCENT, Scale
from inscl.forgetting.attempts import Verdict

__all__ = [
    "RIGHT",
    "WRONG",
    "Answered",
    "Attempts",
    "ForgottenCase",
    "ForgottenRule",
    "forgotten_cases",
    "right_or_wrong",
    "share_by_task",
]

RIGHT = 0.9
"""An answer counts as right from this score on, where nothing else is said."""

WRONG = 0.5
"""An answer counts as wrong below this score, where nothing else is said; what lies between is neither."""

Key = TypeVar("Key", bound=Hashable)


class Answered(Protocol):
    """A row of ``predictions/<task>.jsonl``; scores in [0, 1] where the metric's unit is percent."""

    @property
    def id(self) -> str:
        """The example's id."""
        ...

    @property
    def instruction(self) -> str:
        """What was asked."""
        ...

    @property
    def input(self) -> str:
        """About what."""
        ...

    @property
    def references(self) -> Sequence[str]:
        """The right answers."""
        ...

    @property
    def answer(self) -> str | None:
        """What the model answered, or chose; None where it was asked for neither."""
        ...

    @property
    def scores(self) -> Mapping[str, float]:
        """Metric -> score."""
        ...


class Attempts(Protocol):
    """Says whether an answer attempts what was asked; see `inscl.forgetting.attempts.AttemptCheck`."""

    def __call__(self, answer: str, task: str, instruction: str, references: Sequence[str] = ()) -> Verdict:
        """The verdict on one answer."""
        ...


@dataclass(frozen=True)
class ForgottenRule:
    """When an answer counts as forgotten, by its score b right after its task was learned and its score e at the end.

    With `drop`: b - e > drop, or e - b > drop of a loss. Without: b >= right and e < wrong, which no loss can say.
    InsCL names forgotten instances without the rule being found in what could be read; both are reconstructions.

    Attributes:
        right: An answer is right from this score on.
        wrong: An answer is wrong below this score.
        drop: How far a score must get worse, if this is to be the rule.
        scale: Which direction is good.
    """

    right: float = RIGHT
    wrong: float = WRONG
    drop: float | None = None
    scale: Scale = PERCENT

    def __call__(self, before: float, end: float) -> bool:
        """Whether a score that went from `before` to `end` means that the answer was forgotten."""
        if self.drop is not None:
            return self.scale.lost(before, end) > self.drop
        return before >= self.right and end < self.wrong


@dataclass(frozen=True)
class ForgottenCase:
    """One forgotten answer.

    Attributes:
        task: The task that was asked.
        id: The example's id.
        instruction: What was asked.
        input: About what.
        references: The right answers.
        before: The answer right after the task was learned.
        end: The answer at the end.
        score_before: Its score then, in [0, 1] where the metric's unit is percent.
        score_end: Its score at the end, likewise.
        related: Whether the answer at the end attempts what was asked.
        looks_like: The task whose answers it looks like; None where that can't be said.
        reason: What decided.
    """

    task: str
    id: str
    instruction: str
    input: str
    references: tuple[str, ...]
    before: str
    end: str
    score_before: float
    score_end: float
    related: bool
    looks_like: str | None
    reason: str

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {**asdict(self), "references": list(self.references)}


def right_or_wrong(scales: Mapping[str, Scale]) -> str | None:
    """The first metric by which an answer is right or wrong: a percentage that is better when higher.

    None where there is none, as in a run of losses alone.
    """
    return next((metric for metric, scale in scales.items() if scale == PERCENT), None)


def forgotten_cases(
    task: str,
    before: Mapping[Key, Answered],
    end: Mapping[Key, Answered],
    metric: str,
    rule: ForgottenRule,
    attempts: Attempts,
) -> tuple[list[ForgottenCase], int]:
    """Find one task's forgotten answers and say how each was forgotten.

    Args:
        task: The task.
        before: Its answers right after it was learned, by anything that names an example.
        end: Its answers at the end, by the same.
        metric: The score that decides.
        rule: When an answer counts as forgotten.
        attempts: Whether an answer attempts what was asked.

    Returns:
        The cases in the order of `before`, and how many answers have that score both times.
    """
    cases, compared = [], 0
    for key, first in before.items():
        last = end.get(key)
        if last is None or metric not in first.scores or metric not in last.scores:
            continue
        if first.answer is None or last.answer is None:
            continue
        compared += 1
        scores = first.scores[metric], last.scores[metric]
        if rule(*scores):
            verdict = attempts(last.answer, task, last.instruction, last.references)
            asked = (task, last.id, last.instruction, last.input, tuple(last.references))
            cases.append(
                ForgottenCase(
                    *asked,
                    first.answer,
                    last.answer,
                    *scores,
                    verdict.related,
                    verdict.looks_like,
                    verdict.reason,
                )
            )
    return cases, compared


def share_by_task(compared: Mapping[str, int], cases: Iterable[ForgottenCase]) -> dict[str, dict[str, Any]]:
    """Counts by task, as plain values.

    Args:
        compared: How many answers of each task were compared; gives the tasks and their order.
        cases: The forgotten cases of these tasks.

    Returns:
        ``{task: {compared, forgotten, related, unrelated, looks_like}}``. ``looks_like`` counts the *unrelated* cases
        by the task that they look like, the most frequent first; those of which that can't be said are left out.
    """
    found: dict[str, list[ForgottenCase]] = {task: [] for task in compared}
    for case in cases:
        found[case.task].append(case)
    shares = {}
    for task, mine in found.items():
        related = sum(case.related for case in mine)
        resembled = Counter(case.looks_like for case in mine if not case.related and case.looks_like is not None)
        shares[task] = {
            "compared": compared[task],
            "forgotten": len(mine),
            "related": related,
            "unrelated": len(mine) - related,
            "looks_like": dict(sorted(resembled.items(), key=lambda item: (-item[1], item[0]))),
        }
    return shares
