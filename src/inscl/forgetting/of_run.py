"""What a finished run forgot, and how: task by task, from its folder alone."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from inscl.contract import Stream
from inscl.contract.scale import Scale
from inscl.errors import UserError
from inscl.forgetting.attempts import AttemptCheck
from inscl.forgetting.case import (
    RIGHT,
    WRONG,
    ForgottenCase,
    ForgottenRule,
    forgotten_cases,
    right_or_wrong,
    share_by_task,
)
from inscl.forgetting.run_attempts import kept_examples
from inscl.storage.run.finished_run import Run, load_run

__all__ = ["Forgetting", "Judge", "forgotten_of_run", "judged"]

Judge = Callable[[Sequence[tuple[str, str, str]]], Sequence[bool]]
"""Takes (instruction, input, answer) of many cases and says of each whether the answer attempts what was asked."""


@dataclass(frozen=True)
class Forgetting:
    """What one run forgot.

    Attributes:
        metric: The score that decided.
        rule: When an answer counted as forgotten.
        stage: The stage whose answers count as the end.
        compared: Task -> answers that have the score both times, in the order of the stream.
        cases: The forgotten answers, task by task.
    """

    metric: str
    rule: ForgottenRule
    stage: int
    compared: dict[str, int]
    cases: list[ForgottenCase]

    @property
    def questions(self) -> list[tuple[str, str, str]]:
        """(instruction, input, answer at the end) of each case: what a judge is asked about."""
        return [(case.instruction, case.input, case.end) for case in self.cases]

    @cached_property
    def shares(self) -> dict[str, dict[str, Any]]:
        """``{task: {compared, forgotten, related, unrelated, looks_like: {task: count}}}``, plain values."""
        return share_by_task(self.compared, self.cases)


def forgotten_of_run(
    path: Path | str,
    right: float = RIGHT,
    wrong: float = WRONG,
    drop: float | None = None,
    metric: str | None = None,
    stream: Stream | None = None,
    judge: Judge | None = None,
) -> Forgetting:
    """Find the answers that a run had and lost, and say of each whether it still attempts what was asked.

    Compared are the answers of each task's own stage and those of the last finished stage.

    Args:
        path: The run folder; nothing is written in it.
        right: An answer is right from this score on, in [0, 1].
        wrong: An answer is wrong below this score; at most `right`.
        drop: Instead of both: forgotten is what got worse by more than this (0.1 is usual for Rouge-L; nats of a loss).
        metric: Which score; default: the run's first one by which an answer is right or wrong.
        stream: Whose train references tell what answers look like; default: the examples that the run learned. A
            stream with more of them, as the one that the run sampled from, makes the check better.
        judge: Decides instead of the check, as `inscl.forgetting.judge.LLMJudge`; what an answer looks like is still
            the check's word.

    Raises:
        UserError: The folder is no run, has fewer than two finished stages, no answers, no kept examples or no such
            metric, or a threshold is out of range.
        WorkspaceError: A file of the run is damaged.
    """
    run = load_run(Path(path))
    if run.learned < 2:
        raise UserError(
            f"{run.folder} has {run.learned} finished stages; at least two are needed to find forgotten answers"
        )
    metric = _metric(run, metric, drop)
    rule = _rule(right, wrong, drop, run.scales[metric])
    check = AttemptCheck(
        kept_examples(run) if stream is None else (example for task in stream for example in task.train)
    )
    end = run.stages[run.learned - 1]
    compared: dict[str, int] = {}
    cases: list[ForgottenCase] = []
    answered = False
    for stage in run.stages[: run.learned - 1]:
        before, after = stage.predictions(stage.task), end.predictions(stage.task)
        if before is not None and after is not None:
            answered = answered or any(row.answer is not None for row in before.values())
            lost, compared[stage.task] = forgotten_cases(stage.task, before, after, metric, rule, check)
            cases.extend(lost)
    if not answered and compared:
        raise UserError(
            f"{run.folder} holds no answers, so none can be forgotten: it was scored by likelihoods alone. To have "
            "answers generated, name a scorer such as exact_match in evaluation.metrics"
        )
    found = Forgetting(metric, rule, end.number, compared, cases)
    return judged(found, judge) if judge else found


def judged(found: Forgetting, judge: Judge) -> Forgetting:
    """The same cases with a judge's word on whether each is related; what an unrelated one looks like is the check's.

    Args:
        found: As `forgotten_of_run` found it.
        judge: Asked about all cases at once.
    """
    said = judge(found.questions)
    cases = [
        replace(case, related=related, reason="judge", looks_like=case.task if related else _other(case))
        for case, related in zip(found.cases, said, strict=True)
    ]
    return replace(found, cases=cases)


def _other(case: ForgottenCase) -> str | None:
    # Where the check found the answer in place and the judge doesn't, nobody has said what it looks like instead.
    return None if case.related else case.looks_like


def _rule(right: float, wrong: float, drop: float | None, scale: Scale) -> ForgottenRule:
    if not 0 <= wrong <= right <= 1:
        raise UserError(f"expected 0 <= wrong <= right <= 1, got right {right:g} and wrong {wrong:g}")
    most = 1 if scale.unit == "percent" else math.inf
    if drop is not None and not 0 <= drop < most:
        below = "and below 1 " if scale.unit == "percent" else ""
        raise UserError(f"a drop of at least 0 {below}was expected; given was {drop:g}")
    return ForgottenRule(right, wrong, drop, scale)


def _metric(run: Run, wanted: str | None, drop: float | None) -> str:
    if not run.scorers:
        raise UserError(f"{run.folder} has no scores")
    if wanted is not None and wanted not in run.scorers:
        raise UserError(f"{run.folder} was not scored by {wanted!r}; there are: {', '.join(run.scorers)}")
    metric = wanted or right_or_wrong(run.scales)
    if metric is None or (drop is None and right_or_wrong({metric: run.scales[metric]}) is None):
        said = metric or ", ".join(run.scorers)
        raise UserError(f"no answer is right or wrong by {said}; give a metric and how far it must get worse (drop)")
    return metric
