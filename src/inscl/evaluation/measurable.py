"""Whether a stream has what its measures need, told before anything is trained."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import cast

from inscl.contract import Answer, Question, Task
from inscl.contract.measured import Asked, Undefined
from inscl.contract.seams import Measure, Scorer
from inscl.errors import ConfigError, Problem
from inscl.evaluation.evaluate import needs_of
from inscl.evaluation.rows import Needs, positions

__all__ = ["check_measures"]


def check_measures(
    scorers: Mapping[str, Scorer | Measure], tasks: Iterable[Task], most: Callable[[Needs], int | None]
) -> None:
    """See that each measure of choices is defined for some task, on rows in which all options are equally likely.

    Args:
        scorers: Metric -> scorer or measure.
        tasks: The tasks to be asked.
        most: As in `evaluate_together`.

    Raises:
        ConfigError: A measure is undefined for every task; the message says why.
    """
    problems = []
    for metric, measure in scorers.items():
        if needs_of(measure) != "choice":
            continue
        reasons = [_undefined(cast("Measure", measure), task, most("choice")) for task in tasks if len(task.test)]
        if reasons and None not in reasons:
            said = "; ".join(dict.fromkeys(reason for reason in reasons if reason))
            problems.append(
                Problem(
                    "evaluation.metrics",
                    f"{metric} is defined for no task of this stream ({said}): leave it out, or give the questions "
                    "options (a column `options`, or `stream.options`)",
                )
            )
    if problems:
        raise ConfigError(problems)


def _undefined(measure: Measure, task: Task, most: int | None) -> str | None:
    """Why a measure of choices is undefined for a task; None where it isn't."""
    asked = [task.test[k] for k in positions(task, most, "choice")]
    if not asked:
        return "no task's test questions have options"
    rows = [
        Asked(Question.of(one), one.outputs, Answer("", (-math.log(len(one.options)),) * len(one.options)))
        for one in asked
    ]
    found = measure(rows)
    return found.reason if isinstance(found, Undefined) else None
