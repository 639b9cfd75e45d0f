"""A learner on the test splits of tasks: ask, score, keep every answer."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any, cast

from inscl.contract import Answer, Question, Task
from inscl.contract.measured import Asked, Measured, Undefined
from inscl.contract.scale import PERCENT, Scale
from inscl.contract.seams import Learner, Measure, NullProgress, Progress, Scorer
from inscl.contract.traits import LearnerTraits, MeasureTraits, ScorerTraits, traits_of
from inscl.errors import DataError, InsclError
from inscl.evaluation.asking import ResumableAsking
from inscl.evaluation.measures import mean_of
from inscl.evaluation.rows import Needs, asked_of, positions, row_of

__all__ = ["Score", "TaskEvaluation", "evaluate", "evaluate_together", "measured_again", "needs_of"]


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
    def of(cls, measured: Measured, scale: Scale = PERCENT) -> Score:
        """What a measure found; a percent comes in [0, 1]."""
        factor, error = 100 if scale.unit == "percent" else 1, measured.standard_error
        return cls(factor * measured.value, None if error is None else factor * error, measured.n)

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
        seconds: What was asked for (``text``, ``likelihood``, ``choice``) -> wall time of asking.
        answers: What was generated, in the order of the test split; empty where no metric needs text.
    """

    task: str
    scores: dict[str, Score]
    predictions: list[dict[str, Any]]
    seconds: dict[str, float] = field(default_factory=dict, compare=False)
    answers: tuple[Answer, ...] = ()

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
    most: Callable[[Needs], int | None] = lambda needs: None,
) -> list[TaskEvaluation]:
    """Ask `learner` the test prompts of all `tasks` and score the answers.

    Tasks whose answers may be equally long are asked in one call: a learner then fills its batches across tasks, which
    counts where each has few test examples.

    Args:
        learner: Anything that answers.
        tasks: Their test splits are used.
        scorers: Metric -> measure, or scorer, whose mean counts. What declares `MeasureTraits` is a measure. Text is
            generated, likelihoods and options are asked for only where a metric needs them.
        longest_answer: Task name -> most tokens of an answer; ``task.max_new_tokens``, where set, wins.
        progress: Told the phase and each task's score by the leading (first) metric.
        kept: Where answers are kept for an evaluation that is interrupted; see `ResumableAsking`.
        most: What is asked for -> most test examples of a task that are; None means all. See `positions`.

    Returns:
        One evaluation a task, in the order of `tasks`.

    Raises:
        DataError: A task has no test examples.
        InsclError: The learner gave another number of answers than it was asked, or a metric no number of its unit.

    A measure that a task doesn't have is left out of its scores, and progress is told why.
    """
    progress, asking = progress or NullProgress(), ResumableAsking(learner, kept)
    needs = {needs_of(scorer) for scorer in scorers.values()}
    sheets = [_Sheet.of(task, needs, most) for task in tasks]
    alike: dict[int, list[_Sheet]] = {}
    for sheet in sheets:
        alike.setdefault(sheet.task.max_new_tokens or longest_answer(sheet.task.name), []).append(sheet)
    found: dict[str, TaskEvaluation] = {}
    for longest, group in alike.items():
        of = group[0].task.name if len(group) == 1 else f"{len(group)} tasks"
        progress.phase(f"evaluate {of}", sum(len(sheet.asked) for sheet in group))
        # Nothing is kept for later where only one thing is asked.
        with asking.together() if len(needs) > 1 else nullcontext():
            if "text" in needs:
                _ask_texts(asking, group, longest)
            for sheet in group:
                _ask_probabilities(asking, sheet)
        for sheet in group:
            found[sheet.task.name] = result = _evaluation(learner, sheet, scorers, progress)
            for metric, score in list(result.scores.items())[:1]:
                scale = traits_of(scorers[metric], ScorerTraits).scale
                progress.score(sheet.task.name, metric, score.mean, scale)
    return [found[task.name] for task in tasks]


def needs_of(scorer: Scorer | Measure) -> Needs:
    """What a metric is measured on; a scorer needs generated text."""
    traits = traits_of(scorer, ScorerTraits)
    return traits.needs if isinstance(traits, MeasureTraits) else "text"


def measured_again(metric: str, scorer: Scorer | Measure, rows: Sequence[Mapping[str, Any]]) -> float | None:
    """A metric over some of a task's recorded rows, in its unit; None where it is undefined for them, or of no rows.

    Args:
        metric: Its name.
        scorer: What it is measured by.
        rows: Rows of ``predictions/<task>.jsonl`` that were asked for what it needs.
    """
    traits = traits_of(scorer, ScorerTraits)
    if not rows:
        return None
    if isinstance(traits, MeasureTraits):
        found = cast("Measure", scorer)([asked_of(row) for row in rows])
    else:
        found = mean_of([row["scores"][metric] for row in rows])
    return None if isinstance(found, Undefined) else Score.of(found, traits.scale).mean


@dataclass
class _Sheet:
    """One task's rows as they are being asked: place in the test split -> row; and which places for what."""

    task: Task
    asked: dict[int, Asked]
    places: dict[Needs, list[int]]
    seconds: dict[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, task: Task, needs: Iterable[Needs], most: Callable[[Needs], int | None]) -> _Sheet:
        if not task.test:
            raise DataError(f"task {task.name!r} has no test examples to evaluate on")
        places = {need: positions(task, most(need), need) for need in needs}
        rows = {
            k: Asked(Question.of(task.test[k]), task.test[k].outputs, Answer(""))
            for k in sorted({k for chosen in places.values() for k in chosen})
        }
        return cls(task, rows, places)

    def rows(self, need: Needs) -> list[Asked]:
        return [self.asked[k] for k in self.places[need]]

    def questions(self, need: Needs) -> list[Question]:
        return [row.question for row in self.rows(need)]

    def fill(self, need: Needs, rows: Iterable[Asked], seconds: float) -> None:
        self.asked.update(zip(self.places[need], rows, strict=True))
        self.seconds[need] = seconds


def _ask_texts(asking: ResumableAsking, group: Sequence[_Sheet], longest: int) -> None:
    """Generate the answers of several tasks in one call."""
    questions = [question for sheet in group for question in sheet.questions("text")]
    answers = iter(asking.answers(questions, longest))
    for sheet in group:
        rows = sheet.rows("text")
        said = [replace(row, answer=one) for row, one in zip(rows, islice(answers, len(rows)), strict=True)]
        sheet.fill("text", said, asking.seconds * len(rows) / len(questions))


def _ask_probabilities(asking: ResumableAsking, sheet: _Sheet) -> None:
    """Ask for likelihoods and options, as far as they are needed, declared and there."""
    can = traits_of(asking.learner, LearnerTraits)
    if sheet.places.get("likelihood") and can.log_likelihoods:
        rows = sheet.rows("likelihood")
        known = asking.likelihoods(sheet.questions("likelihood"), [row.references[0] for row in rows])
        filled = [replace(row, likelihood=one) for row, one in zip(rows, known, strict=True)]
        sheet.fill("likelihood", filled, asking.seconds)
    if sheet.places.get("choice") and can.chooses:
        rows = sheet.rows("choice")
        options = zip(rows, asking.choices(sheet.questions("choice")), strict=True)
        chosen = [replace(row, answer=replace(row.answer, option_log_probabilities=one)) for row, one in options]
        sheet.fill("choice", chosen, asking.seconds)


def _evaluation(
    learner: Learner, sheet: _Sheet, scorers: Mapping[str, Scorer | Measure], progress: Progress
) -> TaskEvaluation:
    """What was asked of a task, measured; each row with its own values."""
    said = set(sheet.places.get("text", ()))
    rows = {k: row_of(sheet.task.test[k].id, asked, k in said) for k, asked in sheet.asked.items()}
    scores: dict[str, Score] = {}
    for metric, scorer in scorers.items():
        measured = _measured(learner, metric, scorer, sheet.rows(needs_of(scorer)))
        if isinstance(measured, Undefined):
            progress.note(f"{metric} is undefined for task {sheet.task.name}: {measured.reason}")
            continue
        scores[metric] = Score.of(measured, traits_of(scorer, ScorerTraits).scale)
        for k, value in zip(sheet.places[needs_of(scorer)], measured.by_row, strict=False):
            rows[k]["scores"][metric] = value
    answers = tuple(sheet.asked[k].answer for k in sheet.places.get("text", ()))
    return TaskEvaluation(sheet.task.name, scores, list(rows.values()), sheet.seconds, answers)


def _measured(learner: Learner, metric: str, scorer: Scorer | Measure, asked: Sequence[Asked]) -> Measured | Undefined:
    """One metric of a task: a measure by itself, a scorer by the mean of its scores."""
    traits = traits_of(scorer, ScorerTraits)
    if not isinstance(traits, MeasureTraits):
        scores = cast("Scorer", scorer)
        return mean_of([_scored(metric, scores, traits.scale, row.answer.text, row.references) for row in asked])
    can, needs = traits_of(learner, LearnerTraits), traits.needs
    if (needs == "likelihood" and not can.log_likelihoods) or (needs == "choice" and not can.chooses):
        missing = "log_likelihoods" if needs == "likelihood" else "chooses"
        return Undefined(f"the learner doesn't declare the trait {missing}")
    if not asked:
        return Undefined("its questions have no options to choose from")
    return _checked(metric, cast("Measure", scorer)(asked), traits.scale, len(asked))


def _checked(metric: str, found: Any, scale: Scale, count: int) -> Measured | Undefined:
    """What a measure returned of `count` rows, refused where no table could show it."""
    if isinstance(found, Undefined):
        return found
    if not isinstance(found, Measured):
        raise InsclError(
            f"the measure {metric!r} returned {type(found).__name__}; it must return Measured, as `mean_of` makes one, "
            "or Undefined with a reason"
        )
    if found.by_row and len(found.by_row) != count:
        raise InsclError(
            f"the measure {metric!r} gave {len(found.by_row)} values of single rows for {count} rows; give one for "
            "each row, in order, or none"
        )
    if scale.unit == "percent" and not 0.0 <= found.value <= 1.0:
        raise InsclError(f"the measure {metric!r} gave {found.value}; a percentage is given as a number from 0 to 1")
    if not math.isfinite(found.value):
        raise InsclError(f"the measure {metric!r} gave {found.value}; give Undefined where there is no number")
    return found


def _scored(metric: str, scorer: Scorer, scale: Scale, answer: str, references: Sequence[str]) -> float:
    """One score; 0 for an empty answer whatever a scorer makes of it, where 0 is the worst there is."""
    if scale == PERCENT and not answer.strip():
        return 0.0
    value = float(scorer(answer, references))
    if scale.unit == "percent" and not 0.0 <= value <= 1.0:
        raise InsclError(f"the scorer {metric!r} gave {value} for {answer[:40]!r}; a score is between 0 and 1")
    if not math.isfinite(value):
        raise InsclError(f"the scorer {metric!r} gave {value} for {answer[:40]!r}; a score is a finite number")
    return value
