"""Answers that were right when their task had just been learned, and are wrong at the end: which, how many, and how."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from inscl.contract.example import Image
from inscl.forgetting.case import ForgottenRule, forgotten_cases
from inscl.forgetting.run_attempts import RunAttempts
from inscl.reports.lost import Lost, LostOfRun, LostOfTask
from inscl.storage.run.finished_run import Run
from inscl.storage.run.formats import Prediction

__all__ = ["RULE", "lost_answers"]

RULE = ForgottenRule()
"""When an answer counts as lost on the page."""


def lost_answers(runs: Sequence[Run], scorer: str, per_task: int, total: int) -> list[LostOfRun]:
    """Find the lost answers of every run, by `RULE`.

    Args:
        runs: The runs; each is compared with itself, the others' answers stand beside.
        scorer: The score that says right and wrong.
        per_task: Show at most this many a task.
        total: Show at most this many on the page, shared evenly by runs and then by tasks.

    Raises:
        WorkspaceError: A run's predictions or memory are damaged.
    """
    found = []
    for run in runs:
        lost = _of_run(run, scorer)
        _keep(lost.tasks, per_task, max(1, total // len(runs)))
        lost.tasks = [_beside(task, run, runs) for task in lost.tasks]
        found.append(lost)
    return found


def _of_run(run: Run, scorer: str) -> LostOfRun:
    if run.learned < 2:
        return LostOfRun(run, None)
    attempts = RunAttempts(run)
    end = run.stages[run.learned - 1]
    tasks = []
    for stage in run.stages[: run.learned - 1]:
        before, after = stage.predictions(stage.task), end.predictions(stage.task)
        if before is None or after is None:
            continue
        cases, compared = forgotten_cases(stage.task, before, after, scorer, RULE, attempts)
        gained = sum(_gained(before[key], after[key], scorer) for key in before.keys() & after.keys())
        shown = {answer.id: [Image(one.path, one.sha256) for one in answer.images] for answer in after.values()}
        lost = [Lost(case, shown[case.id]) for case in cases]
        tasks.append(_counted(stage.task, stage.number, lost, compared, gained))
    return LostOfRun(run, end.number, tasks, attempts.unknown, attempts.references)


def _gained(before: Prediction, after: Prediction, scorer: str) -> bool:
    """Whether an answer went the other way."""
    if before.answer is None or after.answer is None:
        return False
    return scorer in before.scores and scorer in after.scores and RULE(after.scores[scorer], before.scores[scorer])


def _counted(name: str, stage: int, lost: Sequence[Lost], compared: int, gained: int) -> LostOfTask:
    shown = sorted(lost, key=lambda one: (-one.drop, one.case.id))
    cases = [one.case for one in lost]
    resembled = Counter(case.looks_like for case in cases if not case.related and case.looks_like is not None)
    return LostOfTask(
        task=name,
        stage=stage,
        shown=shown,
        total=len(cases),
        related=sum(case.related for case in cases),
        looks_like=dict(resembled.most_common()),
        compared=compared,
        gained=gained,
    )


def _keep(tasks: Sequence[LostOfTask], per_task: int, total: int) -> None:
    """Cut what is shown, taking one from each task in turn, so that no task hides another."""
    room = {task.task: 0 for task in tasks}
    left = total
    for place in range(per_task):
        for task in tasks:
            if left and place < len(task.shown):
                room[task.task] += 1
                left -= 1
    for task in tasks:
        del task.shown[room[task.task] :]


def _beside(task: LostOfTask, run: Run, runs: Sequence[Run]) -> LostOfTask:
    """Add what the other runs answer at their end to the same examples."""
    if not task.shown:
        return task
    finals = []
    for other in runs:
        answers = other.stages[other.learned - 1].predictions(task.task) if other.learned and other is not run else None
        if answers:
            finals.append((other.label, {answer.id: answer for answer in answers.values()}))
    for place, lost in enumerate(task.shown):
        others = [(label, answers[lost.case.id]) for label, answers in finals if lost.case.id in answers]
        task.shown[place] = replace(lost, others=others)
    return task
