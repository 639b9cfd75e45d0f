"""Compares two stages: scores, and the answers that differ."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from inscl.contract.scale import Scale
from inscl.contract.seams import Measure, Scorer
from inscl.engine.open_run import OpenWorkspace
from inscl.errors import ConfigError, Problem, nearest
from inscl.evaluation.evaluate import measured_again, needs_of
from inscl.evaluation.rows import has
from inscl.storage.run.run_folder import Record
from inscl.workspace.plain import Plain

__all__ = ["AnswerChange", "Difference", "TaskChange", "difference", "metric_of", "other_settings"]

Rows = Mapping[tuple[str, int], dict[str, Any]]
"""Rows of predictions by example and occurrence."""

_OF_ANSWERS = (
    ("model", "precision"),
    ("training", "params"),
    ("training", "max_length"),
    ("evaluation", "max_new_tokens"),
)
"""Settings that a stage may have for itself, and that its answers depend on."""


@dataclass(frozen=True)
class TaskChange(Plain):
    """One task's score after two stages, in the metric's unit; None where it wasn't measured.

    Attributes:
        task: The task.
        before: Its score after the one stage.
        after: After the other.
        change: `after` minus `before`, whichever direction is good.
    """

    task: str
    before: float | None
    after: float | None
    change: float | None


@dataclass(frozen=True)
class AnswerChange(Plain):
    """One answer that differs between two stages.

    Attributes:
        task: The task.
        id: The example's id.
        instruction: What was asked.
        input: About what.
        references: The right answers.
        before: What was said after the one stage; None where no text was generated.
        after: After the other.
        score_before: The answer's own score, in [0, 1] where the metric's unit is percent.
        score_after: The same after the other stage.
    """

    task: str
    id: str
    instruction: str
    input: str
    references: tuple[str, ...]
    before: str | None
    after: str | None
    score_before: float
    score_after: float


@dataclass(frozen=True)
class Difference(Plain):
    """Two stages compared.

    Attributes:
        first: One stage.
        second: The other.
        metric: Which score.
        scale: Its unit and which direction is good.
        tasks: Task by task, in the order learned.
        answers: Answers that differ, those that lost most first; where no text was generated, whose scores do.
        compared: How many answers both stages gave.
        notes: Settings in which the stages' answers differ, and tasks that weren't scored on the same examples.
    """

    first: int
    second: int
    metric: str
    scale: Scale
    tasks: tuple[TaskChange, ...]
    answers: tuple[AnswerChange, ...]
    compared: int
    notes: tuple[str, ...] = ()


def difference(opened: OpenWorkspace, first: int, second: int | None = None, metric: str | None = None) -> Difference:
    """Compare two stages; `second` None is the last.

    Where they were scored on different examples of a task, its scores are those on the examples that both answered.

    Raises:
        UserError: There is no such stage, or the workspace doesn't measure that.
    """
    numbers = opened.stage_number(first), opened.stage_number(second)
    leading, folder = metric_of(metric, opened.settings.evaluation.metrics), opened.folder
    scale, scorer = folder.scales[leading], opened.parts.scorers[leading]
    records = folder.stage(numbers[0]), folder.stage(numbers[1])
    scores = records[0].scores(), records[1].scores()
    tasks, answers, compared, notes = [], [], 0, other_settings(opened, numbers)
    for name in opened.ledger.names:
        rows = tuple(_asked(record, name, scorer) for record in records)
        both = [key for key in rows[0] if key in rows[1]]
        if name in scores[0] or name in scores[1]:
            means = [found.get(name, {}).get(leading, {}).get("mean") for found in scores]
            if rows[0] and rows[1] and rows[0].keys() != rows[1].keys():
                means = [measured_again(leading, scorer, [found[key] for key in both]) for found in rows]
                notes.append(_other_examples(name, numbers, rows, len(both)))
            tasks.append(_change(name, *means))
        compared += len(both)
        answers += _changed(name, [(rows[0][key], rows[1][key]) for key in both], leading)
    answers.sort(key=lambda answer: -scale.lost(answer.score_before, answer.score_after))
    return Difference(*numbers, leading, scale, tuple(tasks), tuple(answers), compared, tuple(notes))


def metric_of(wanted: str | None, metrics: list[str]) -> str:
    """A metric that the workspace measures; None is the leading one."""
    if wanted is not None and wanted not in metrics:
        raise ConfigError(
            [Problem("--metric", f"{wanted!r} is not measured here{nearest(wanted, metrics)}")], "workspace"
        )
    return wanted or metrics[0]


def other_settings(opened: OpenWorkspace, stages: tuple[int, int]) -> list[str]:
    """What to say if the answers of two stages were made with different settings; nothing if not."""
    pair = [opened.settings_of_stage(stage) for stage in stages]
    found = []
    for section, key in _OF_ANSWERS:
        first, second = (getattr(getattr(settings, section), key) for settings in pair)
        if first != second:
            found.append(f"{section}.{key} is {first} at stage {stages[0]} and {second} at stage {stages[1]}")
    return [f"the stages answer with different settings: {'; '.join(found)}"] if found else []


def _change(task: str, before: float | None, after: float | None) -> TaskChange:
    return TaskChange(task, before, after, None if before is None or after is None else after - before)


def _other_examples(task: str, stages: tuple[int, int], rows: tuple[Rows, ...], both: int) -> str:
    asked = " and ".join(f"{len(found)} at stage {stage}" for stage, found in zip(stages, rows, strict=True))
    return f"{task} was scored on different examples, {asked}: it is compared on the {both} that both answered"


def _asked(record: Record, task: str, scorer: Scorer | Measure) -> Rows:
    """The rows of a task that were asked for what the metric is measured on; none if the task wasn't asked."""
    name = f"predictions/{task}.jsonl"
    if not (record.path / name).exists():
        return {}
    seen: Counter[str] = Counter()
    found = {}
    for row in record.rows(name):
        if has(row, needs_of(scorer)):
            found[row["id"], seen[row["id"]]] = row
        seen[row["id"]] += 1
    return found


def _changed(task: str, pairs: Sequence[tuple[dict[str, Any], dict[str, Any]]], metric: str) -> list[AnswerChange]:
    """The answers whose text differs; where none was generated, those whose own score does."""
    found = []
    for before, after in pairs:
        if metric not in before["scores"] or metric not in after["scores"]:
            continue  # the metric has no values of single answers
        said, scores = (before["prediction"], after["prediction"]), (before["scores"][metric], after["scores"][metric])
        if said[0] != said[1] or (None in said and scores[0] != scores[1]):
            asked = (task, before["id"], before["instruction"], before["input"], tuple(before["references"]))
            found.append(AnswerChange(*asked, *said, *scores))
    return found
