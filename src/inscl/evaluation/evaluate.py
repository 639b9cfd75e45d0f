"""A learner on the test splits of tasks: ask, score, keep every answer."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from inscl.contract import Question, Task
from inscl.contract.seams import Learner, NullProgress, Progress, Scorer
from inscl.errors import DataError, InsclError
from inscl.storage.run.progress import Answers

__all__ = ["Score", "TaskEvaluation", "evaluate", "evaluate_together"]


@dataclass(frozen=True)
class Score:
    """A metric's mean over a test split.

    Attributes:
        mean: Percent.
        standard_error: Percent: the sample's standard deviation (n - 1) over the root of n; None if n is 1.
        n: Examples scored.
    """

    mean: float
    standard_error: float | None
    n: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Score:
        """The score of at least one value, each in [0, 1]."""
        error = 100 * stdev(values) / math.sqrt(len(values)) if len(values) > 1 else None
        return cls(100 * fmean(values), error, len(values))

    def to_json(self) -> dict[str, Any]:
        """One cell of ``scores.json``."""
        return {"mean": self.mean, "standard_error": self.standard_error, "n": self.n}


@dataclass(frozen=True)
class TaskEvaluation:
    """What a learner answered on a task, and how right it was.

    Attributes:
        task: The task's name.
        scores: Metric -> score, in the order asked for.
        predictions: Rows of ``predictions/<task>.jsonl``, in the order of the test split.
    """

    task: str
    scores: dict[str, Score]
    predictions: list[dict[str, Any]]

    def to_json(self) -> dict[str, Any]:
        """Metric -> cell of ``scores.json``."""
        return {metric: score.to_json() for metric, score in self.scores.items()}


def evaluate(
    learner: Learner,
    task: Task,
    scorers: Mapping[str, Scorer],
    max_new_tokens: int = 64,
    progress: Progress | None = None,
) -> TaskEvaluation:
    """Ask `learner` every test prompt of `task` and score the answers; see `evaluate_together` for the arguments."""
    return evaluate_together(learner, [task], scorers, lambda _: max_new_tokens, progress)[0]


def evaluate_together(
    learner: Learner,
    tasks: Sequence[Task],
    scorers: Mapping[str, Scorer],
    longest_answer: Callable[[str], int],
    progress: Progress | None = None,
    kept: Path | None = None,
) -> list[TaskEvaluation]:
    """Ask `learner` every test prompt of all `tasks` and score the answers.

    Tasks whose answers may be equally long are asked in one call: a learner then fills its batches across tasks, which
    counts where each has few test examples.

    Args:
        learner: Anything that answers.
        tasks: Their test splits are used.
        scorers: Metric -> scorer.
        longest_answer: Task name -> most tokens of an answer; ``task.max_new_tokens``, where set, wins.
        progress: Told the phase and each task's score by the leading (first) metric.
        kept: Folder in which answers are kept as soon as they are there, for an evaluation that is interrupted and
            begun again with the same state of the learner; the caller empties it. None keeps none.

    Returns:
        One evaluation a task, in the order of `tasks`.

    Raises:
        DataError: A task has no test examples.
        InsclError: The learner gave another number of answers than it was asked, or a scorer left [0, 1].
    """
    progress = progress or NullProgress()
    alike: dict[int, list[Task]] = {}
    for task in tasks:
        if not task.test:
            raise DataError(f"task {task.name!r} has no test examples to evaluate on")
        alike.setdefault(task.max_new_tokens or longest_answer(task.name), []).append(task)
    found: dict[str, TaskEvaluation] = {}
    for longest, group in alike.items():
        questions = [Question.of(example) for task in group for example in task.test]
        progress.phase("evaluate " + (group[0].name if len(group) == 1 else f"{len(group)} tasks"), len(questions))
        answers = _asked(learner, questions, longest, kept)
        if len(answers) != len(questions):
            names = ", ".join(repr(task.name) for task in group)
            raise InsclError(f"the learner gave {len(answers)} answers to {len(questions)} questions of task {names}")
        following = iter(answers)
        for task in group:
            result = _evaluation(task, list(islice(following, len(task.test))), scorers)
            found[task.name] = result
            for metric, score in list(result.scores.items())[:1]:
                progress.score(task.name, metric, score.mean)
    return [found[task.name] for task in tasks]


def _asked(learner: Learner, questions: Sequence[Question], longest: int, kept: Path | None) -> list[str]:
    """The learner's answers; those that an interrupted evaluation already had are not asked for again."""
    answers = Answers(kept, [[asdict(question) for question in questions], longest])
    found = answers.read().get("all")
    if found is None or len(found) != len(questions):
        found = [answer.text for answer in learner.answer(questions, max_new_tokens=longest)]
        answers.keep("all", found)
    return found


def _evaluation(task: Task, answers: Sequence[str], scorers: Mapping[str, Scorer]) -> TaskEvaluation:
    """The answers to a task's test split, scored."""
    by_metric: dict[str, list[float]] = {metric: [] for metric in scorers}
    rows: list[dict[str, Any]] = []
    for example, answer in zip(task.test, answers, strict=True):
        scores = {metric: _scored(metric, scorer, answer, example.outputs) for metric, scorer in scorers.items()}
        for metric, value in scores.items():
            by_metric[metric].append(value)
        rows.append(
            {
                "id": example.id,
                "instruction": example.instruction,
                "input": example.input,
                "references": list(example.outputs),
                "prediction": answer,
                "scores": scores,
            }
        )
    return TaskEvaluation(task.name, {metric: Score.of(values) for metric, values in by_metric.items()}, rows)


def _scored(metric: str, scorer: Scorer, answer: str, references: Sequence[str]) -> float:
    """One score; 0 for an empty answer whatever a scorer makes of it."""
    value = float(scorer(answer, references)) if answer.strip() else 0.0
    if not 0.0 <= value <= 1.0:
        raise InsclError(f"the scorer {metric!r} gave {value} for {answer[:40]!r}; a score is between 0 and 1")
    return value
