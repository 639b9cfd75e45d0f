"""Two stages side by side: scores, and the answers that differ."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from inscl.engine.open_run import OpenWorkspace
from inscl.errors import ConfigError, Problem, nearest
from inscl.storage.run.run_folder import Record
from inscl.workspace.plain import Plain

__all__ = ["AnswerChange", "Difference", "TaskChange", "difference", "metric_of"]


@dataclass(frozen=True)
class TaskChange(Plain):
    """One task's score after two stages, percent; None where it wasn't measured. Change: points."""

    task: str
    before: float | None
    after: float | None
    change: float | None


@dataclass(frozen=True)
class AnswerChange(Plain):
    """One answer that differs between two stages; scores in [0, 1] by the leading metric."""

    task: str
    id: str
    instruction: str
    input: str
    references: tuple[str, ...]
    before: str
    after: str
    score_before: float
    score_after: float


@dataclass(frozen=True)
class Difference(Plain):
    """Two stages compared.

    Attributes:
        first: One stage.
        second: The other.
        metric: Which score.
        tasks: Task by task, in the order learned.
        answers: Answers that differ, those that lost most first.
        compared: How many answers both stages gave.
        notes: Tasks that the stages were not scored on with the same examples.
    """

    first: int
    second: int
    metric: str
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
    leading = metric_of(metric, opened.settings.evaluation.metrics)
    records = opened.folder.stage(numbers[0]), opened.folder.stage(numbers[1])
    scores = records[0].scores(), records[1].scores()
    tasks, answers, compared, notes = [], [], 0, []
    for name in opened.ledger.names:
        rows = tuple(_answers(record, name, leading) for record in records)
        both = [key for key in rows[0] if key in rows[1]]
        if name in scores[0] or name in scores[1]:
            means = [found.get(name, {}).get(leading, {}).get("mean") for found in scores]
            if rows[0] and rows[1] and rows[0].keys() != rows[1].keys():
                means = [_mean([found[key]["scores"][leading] for key in both]) for found in rows]
                notes.append(_other_examples(name, numbers, rows, len(both)))
            tasks.append(_change(name, *means))
        compared += len(both)
        pairs = [(rows[0][key], rows[1][key]) for key in both]
        answers += [_answer(name, *pair, leading) for pair in pairs if pair[0]["prediction"] != pair[1]["prediction"]]
    answers.sort(key=lambda answer: answer.score_after - answer.score_before)
    return Difference(*numbers, leading, tuple(tasks), tuple(answers), compared, tuple(notes))


def metric_of(wanted: str | None, metrics: list[str]) -> str:
    """A metric that the workspace measures; None is the leading one."""
    if wanted is not None and wanted not in metrics:
        raise ConfigError(
            [Problem("--metric", f"{wanted!r} is not measured here{nearest(wanted, metrics)}")], "workspace"
        )
    return wanted or metrics[0]


def _change(task: str, before: float | None, after: float | None) -> TaskChange:
    return TaskChange(task, before, after, None if before is None or after is None else after - before)


def _mean(values: list[float]) -> float | None:
    return 100 * fmean(values) if values else None


def _other_examples(task: str, stages: tuple[int, int], rows: tuple[Mapping[Any, Any], ...], both: int) -> str:
    asked = " and ".join(f"{len(found)} at stage {stage}" for stage, found in zip(stages, rows, strict=True))
    return f"{task} was scored on different examples, {asked}: it is compared on the {both} that both answered"


def _answers(record: Record, task: str, metric: str) -> dict[tuple[str, int], dict[str, Any]]:
    """Rows of predictions by example and occurrence, as far as `metric` was measured; none if the task wasn't asked."""
    name = f"predictions/{task}.jsonl"
    if not (record.path / name).exists():
        return {}
    seen: Counter[str] = Counter()
    found = {}
    for row in record.rows(name):
        if metric in row["scores"]:
            found[row["id"], seen[row["id"]]] = row
        seen[row["id"]] += 1
    return found


def _answer(task: str, before: dict[str, Any], after: dict[str, Any], metric: str) -> AnswerChange:
    asked = (task, before["id"], before["instruction"], before["input"], tuple(before["references"]))
    said = (before["prediction"], after["prediction"])
    return AnswerChange(*asked, *said, before["scores"][metric], after["scores"][metric])
