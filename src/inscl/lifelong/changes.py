"""Two stages side by side: scores, and the answers that differ."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from inscl.errors import ConfigError, Problem, nearest
from inscl.lifelong.opening import folder_of, settings_of
from inscl.lifelong.overview import stage_number
from inscl.lifelong.results import AnswerChange, Difference, TaskChange
from inscl.workspace.ledger import Ledger
from inscl.workspace.run_folder import Record

__all__ = ["difference", "metric_of"]


def difference(path: Path, first: int, second: int | None = None, metric: str | None = None) -> Difference:
    """Compare two stages of the workspace; `second` None is the last.

    Raises:
        UserError: There is no such stage, or the workspace doesn't measure that.
    """
    ledger, settings = Ledger.read(path), settings_of(path)
    numbers = stage_number(ledger, first), stage_number(ledger, second)
    leading = metric_of(metric, settings.evaluation.metrics)
    folder = folder_of(path, settings, ledger)
    records = folder.stage(numbers[0]), folder.stage(numbers[1])
    scores = records[0].scores(), records[1].scores()
    tasks, answers, compared = [], [], 0
    for name in ledger.names:
        if name in scores[0] or name in scores[1]:
            tasks.append(_change(name, *(found.get(name, {}).get(leading, {}).get("mean") for found in scores)))
        before, after = _answers(records[0], name), _answers(records[1], name)
        for key, row in before.items():
            other = after.get(key)
            if other is None or leading not in row["scores"] or leading not in other["scores"]:
                continue
            compared += 1
            if row["prediction"] != other["prediction"]:
                answers.append(_answer(name, row, other, leading))
    answers.sort(key=lambda answer: answer.score_after - answer.score_before)
    return Difference(*numbers, leading, tuple(tasks), tuple(answers), compared)


def metric_of(wanted: str | None, metrics: list[str]) -> str:
    """A metric that the workspace measures; None is the leading one."""
    if wanted is not None and wanted not in metrics:
        raise ConfigError(
            [Problem("--metric", f"{wanted!r} is not measured here{nearest(wanted, metrics)}")], "workspace"
        )
    return wanted or metrics[0]


def _change(task: str, before: float | None, after: float | None) -> TaskChange:
    return TaskChange(task, before, after, None if before is None or after is None else after - before)


def _answers(record: Record, task: str) -> dict[tuple[str, int], dict[str, Any]]:
    """Rows of predictions by example and occurrence; none where the task wasn't asked."""
    name = f"predictions/{task}.jsonl"
    if not (record.path / name).exists():
        return {}
    seen: Counter[str] = Counter()
    found = {}
    for row in record.rows(name):
        found[row["id"], seen[row["id"]]] = row
        seen[row["id"]] += 1
    return found


def _answer(task: str, before: dict[str, Any], after: dict[str, Any], metric: str) -> AnswerChange:
    asked = (task, before["id"], before["instruction"], before["input"], tuple(before["references"]))
    said = (before["prediction"], after["prediction"])
    return AnswerChange(*asked, *said, before["scores"][metric], after["scores"][metric])
