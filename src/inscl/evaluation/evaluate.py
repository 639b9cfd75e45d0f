"""A learner on the test splits of tasks: ask, score, keep every answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, cast

from inscl.contract import Answer, LogLikelihood, Question, Task
from inscl.contract.measured import Asked, Measured, Undefined
from inscl.contract.seams import Choosing, Learner, Likelihoods, Measure, NullProgress, Progress, Scorer
from inscl.contract.traits import LearnerTraits, MeasureTraits, traits_of
from inscl.errors import DataError, InsclError
from inscl.evaluation.measures import mean_of
from inscl.storage.run.progress import Answers

__all__ = ["Score", "TaskEvaluation", "evaluate", "evaluate_together"]


@dataclass(frozen=True)
class Score:
    """A metric of a test split.

    Attributes:
        mean: The metric's value, in percent or in another unit of its measure.
        standard_error: In the same unit; None where it isn't known, as for one example.
        n: Examples scored.
    """

    mean: float
    standard_error: float | None
    n: int

    @classmethod
    def of(cls, measured: Measured, unit: str = "percent") -> Score:
        """What a measure found; a percent comes in [0, 1]."""
        scale, error = 100 if unit == "percent" else 1, measured.standard_error
        return cls(scale * measured.value, None if error is None else scale * error, measured.n)

    def to_json(self) -> dict[str, Any]:
        """One cell of ``scores.json``."""
        return {"mean": self.mean, "standard_error": self.standard_error, "n": self.n}


@dataclass(frozen=True)
class TaskEvaluation:
    """What a learner answered on a task, and how right it was.

    Attributes:
        task: The task's name.
        scores: Metric -> score, in the order asked for; without those that are undefined for the task.
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
    scorers: Mapping[str, Scorer | Measure],
    max_new_tokens: int = 64,
    progress: Progress | None = None,
) -> TaskEvaluation:
    """Ask `learner` every test prompt of `task` and score the answers; see `evaluate_together` for the arguments."""
    return evaluate_together(learner, [task], scorers, lambda _: max_new_tokens, progress)[0]


def evaluate_together(
    learner: Learner,
    tasks: Sequence[Task],
    scorers: Mapping[str, Scorer | Measure],
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
        scorers: Metric -> measure, or scorer, whose mean counts. What declares `MeasureTraits` is a measure. Text is
            generated, likelihoods and options are asked for only where a metric needs them.
        longest_answer: Task name -> most tokens of an answer; ``task.max_new_tokens``, where set, wins.
        progress: Told the phase and each task's score by the leading (first) metric.
        kept: Folder in which answers are kept as soon as they are there, for an evaluation that is interrupted and
            begun again with the same state of the learner; the caller empties it. None keeps none.

    Returns:
        One evaluation a task, in the order of `tasks`.

    Raises:
        DataError: A task has no test examples.
        InsclError: The learner gave another number of answers than it was asked, or a scorer left [0, 1].

    A measure that a task doesn't have is left out of its scores, and progress is told why.
    """
    progress = progress or NullProgress()
    needs = {traits_of(scorer, MeasureTraits).needs for scorer in scorers.values()}
    alike: dict[int, list[Task]] = {}
    for task in tasks:
        if not task.test:
            raise DataError(f"task {task.name!r} has no test examples to evaluate on")
        alike.setdefault(task.max_new_tokens or longest_answer(task.name), []).append(task)
    found: dict[str, TaskEvaluation] = {}
    for longest, group in alike.items():
        questions = [Question.of(example) for task in group for example in task.test]
        progress.phase("evaluate " + (group[0].name if len(group) == 1 else f"{len(group)} tasks"), len(questions))
        answers: list[str] = [""] * len(questions)
        if "text" in needs:
            answers = _asked(learner, questions, longest, kept)
        if len(answers) != len(questions):
            names = ", ".join(repr(task.name) for task in group)
            raise InsclError(f"the learner gave {len(answers)} answers to {len(questions)} questions of task {names}")
        following = iter(answers)
        for task in group:
            rows = _measured_rows(learner, task, list(islice(following, len(task.test))), needs)
            found[task.name] = result = _evaluation(learner, task, rows, scorers, progress)
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


def _measured_rows(learner: Learner, task: Task, texts: Sequence[str], needs: AbstractSet[str]) -> list[Asked]:
    """The rows of a task, with likelihoods and options as far as they are needed, declared and there."""
    can, questions = traits_of(learner, LearnerTraits), [Question.of(example) for example in task.test]
    rows = [
        Asked(question, example.outputs, Answer(text))
        for question, example, text in zip(questions, task.test, texts, strict=True)
    ]
    if "likelihood" in needs and can.log_likelihoods:
        firsts = [example.outputs[0] for example in task.test]
        likelihoods: list[LogLikelihood] = cast(Likelihoods, learner).log_likelihoods(questions, firsts)
        _check_count(task, likelihoods)
        rows = [replace(row, likelihood=found) for row, found in zip(rows, likelihoods, strict=True)]
    if "choice" in needs and can.chooses and all(question.options for question in questions):
        options = cast(Choosing, learner).choose(questions)
        _check_count(task, options)
        pairs = zip(rows, options, strict=True)
        rows = [replace(row, answer=replace(row.answer, option_log_probabilities=known)) for row, known in pairs]
    return rows


def _check_count(task: Task, found: Sequence[Any]) -> None:
    if len(found) != len(task.test):
        raise InsclError(f"the learner gave {len(found)} likelihoods for {len(task.test)} questions of {task.name!r}")


def _evaluation(
    learner: Learner, task: Task, asked: Sequence[Asked], scorers: Mapping[str, Scorer | Measure], progress: Progress
) -> TaskEvaluation:
    """What was asked of a task, measured; each row with its own values."""
    rows: list[dict[str, Any]] = [_row(example.id, row) for example, row in zip(task.test, asked, strict=True)]
    scores: dict[str, Score] = {}
    for metric, scorer in scorers.items():
        measured = _measured(learner, metric, scorer, asked)
        if isinstance(measured, Undefined):
            progress.note(f"{metric} is undefined for task {task.name}: {measured.reason}")
            continue
        scores[metric] = Score.of(measured, traits_of(scorer, MeasureTraits).unit)
        for row, value in zip(rows, measured.by_row, strict=False):
            row["scores"][metric] = value
    return TaskEvaluation(task.name, scores, rows)


def _row(name: str, row: Asked) -> dict[str, Any]:
    """A row of ``predictions/<task>.jsonl``."""
    known: dict[str, Any] = {
        "id": name,
        "instruction": row.question.instruction,
        "input": row.question.input,
        "references": list(row.references),
        "prediction": row.answer.text,
        "scores": {},
    }
    if row.answer.option_log_probabilities is not None:
        known["options"] = list(row.question.options)
        known["option_log_probabilities"] = list(row.answer.option_log_probabilities)
    if row.likelihood is not None:
        known["likelihood"] = asdict(row.likelihood)
    return known


def _measured(learner: Learner, metric: str, scorer: Scorer | Measure, asked: Sequence[Asked]) -> Measured | Undefined:
    """One metric of a task: a measure by itself, a scorer by the mean of its scores."""
    if not hasattr(scorer, "traits"):
        scores = cast("Scorer", scorer)
        return mean_of([_scored(metric, scores, row.answer.text, row.references) for row in asked])
    can, needs = traits_of(learner, LearnerTraits), traits_of(scorer, MeasureTraits).needs
    if (needs == "likelihood" and not can.log_likelihoods) or (needs == "choice" and not can.chooses):
        missing = "log_likelihoods" if needs == "likelihood" else "chooses"
        return Undefined(f"the learner doesn't declare the trait {missing}")
    return cast("Measure", scorer)(asked)


def _scored(metric: str, scorer: Scorer, answer: str, references: Sequence[str]) -> float:
    """One score; 0 for an empty answer whatever a scorer makes of it."""
    value = float(scorer(answer, references)) if answer.strip() else 0.0
    if not 0.0 <= value <= 1.0:
        raise InsclError(f"the scorer {metric!r} gave {value} for {answer[:40]!r}; a score is between 0 and 1")
    return value
