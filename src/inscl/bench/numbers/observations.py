"""A record of one cell as the tables need it: checked, with its measures computed anew from its scores."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inscl.bench.numbers.forgotten_shares import Forgotten, forgotten_of
from inscl.bench.numbers.general import GENERAL, P_SCORE, general_measured, p_score_measured
from inscl.bench.numbers.measures import measured, measures_of, zero_experts
from inscl.contract.scale import PERCENT, Scale
from inscl.errors import ConfigError, DataError, nearest

__all__ = ["COSTS", "BudgetKey", "Observation", "observe"]

COSTS = (
    "steps",
    "tokens",
    "replay_tokens",
    "answer_tokens",
    "examples",
    "replayed",
    "train_seconds",
    "evaluate_seconds",
    "plan_seconds",
    "prompt_tokens_per_answer",
    "seconds_per_answer",
    "state_bytes",
)
"""What a record says of a cell's cost: counts, seconds of wall time, and bytes of the learner's state after a stage."""

BudgetKey = tuple[str, float]
"""A budget's kind (per_task, total, share, tokens) and its value."""


@dataclass(frozen=True)
class Observation:
    """One cell.

    Attributes:
        method: Its name.
        order: Name of the order in which the tasks were learned.
        seed: Of the run.
        budget: Kind and value; None for a method that uses none.
        model: Its name.
        scale: Unit of the scores and which direction is good.
        tasks: In the order learned.
        held_out: Tasks that were scored at every stage and never learned.
        stream: Fingerprint of the data; empty if not recorded.
        scores: The score matrix, row by row, None where a task wasn't evaluated; empty where not scored.
        experts: Score of each task's expert, None where it wasn't evaluated; empty where there are none.
        left_out: Tasks that don't count in Relative Gain, since an expert of theirs scored 0; the same for all cells
            that are compared.
        measures: Measure -> number; None where undefined. General delta and P-score are of them in every cell.
        reasons: Measure -> why it is undefined.
        cost: A name of `COSTS` -> number; None where not recorded.
        forgotten: Task -> what was forgotten of it; None if not recorded.
        hardware: As recorded, as one line of JSON.
        version: Of the inscl that made it; empty if not recorded.
        spikes: Tasks at whose stage the training loss spiked.
        diverged: The task at whose stage the loss stopped being a number; from then on its scores are the base model's.
            Empty if it never did.
    """

    method: str
    order: str
    seed: int
    budget: BudgetKey | None
    model: str
    scale: Scale
    tasks: tuple[str, ...]
    held_out: tuple[str, ...]
    stream: str
    scores: tuple[tuple[float | None, ...], ...]
    experts: tuple[float | None, ...]
    left_out: tuple[str, ...]
    measures: Mapping[str, float | None]
    reasons: Mapping[str, str]
    cost: Mapping[str, float | None]
    forgotten: Mapping[str, Forgotten] | None
    hardware: str
    version: str
    spikes: tuple[str, ...] = ()
    diverged: str = ""

    @property
    def pairing(self) -> tuple[str, int, tuple[str, ...], str]:
        """What two cells must share to be compared: order, seed, the tasks in that order, and the data."""
        return self.order, self.seed, self.tasks, self.stream


def observe(records: Sequence[Mapping[str, Any]], metric: str | None) -> tuple[str, list[Observation]]:
    """Check records and compute their measures.

    Args:
        records: As read from JSON.
        metric: The scorer whose matrix is taken; None takes the first record's first.

    Returns:
        The scorer, and the observations in an order that doesn't depend on that of the records.

    Raises:
        DataError: A record is damaged, or two are of the same cell; the message has its key.
        ConfigError: There are no records, or none has the scorer.
    """
    if not records:
        raise ConfigError("there are no cells to summarise yet; run the grid first", "bench")
    known = list(dict.fromkeys(name for record in records for name in record.get("scores") or {}))
    if metric is None:
        if not known:
            raise ConfigError("no cell has scores; run the grid with an evaluation", "bench")
        metric = known[0]
    elif metric not in known:
        raise ConfigError(f"no cell was scored by {metric!r}{nearest(metric, known)}", "bench")
    scale = _common_scale(records, metric)
    zero: dict[tuple[Any, ...], set[str]] = {}
    for record in records:
        with _telling(record):
            zero.setdefault(_compared(record), set()).update(_zero_experts(record, metric))
    found: dict[tuple[Any, ...], tuple[str, Observation]] = {}
    for record in records:
        with _telling(record):
            seen = _observation(record, metric, zero[_compared(record)], scale)
        cell = (seen.model, seen.budget or ("", 0.0), seen.method, seen.order, seen.seed)
        if cell in found:
            both = f"{found[cell][0]} and {record.get('key')}"
            raise DataError(f"two records of the same cell ({both}): {seen.method}, {seen.order}, seed {seen.seed}")
        found[cell] = (str(record.get("key")), seen)
    return metric, [found[cell][1] for cell in sorted(found)]


@contextmanager
def _telling(record: Mapping[str, Any]) -> Iterator[None]:
    """Whatever is wrong with a record, said with its key."""
    where = f"cell {record.get('key', '(no key)')}"
    if record.get("schema") != 1:
        raise DataError(f"expected schema 1, got {record.get('schema')!r}; use the inscl that wrote it", where)
    try:
        yield
    except KeyError as error:
        raise DataError(f"the field {error} is missing; delete the record and run the cell again", where) from error
    except (ConfigError, ArithmeticError, TypeError, ValueError, AttributeError) as error:
        raise DataError(f"{error}; delete the record and run the cell again", where) from error


def _compared(record: Mapping[str, Any]) -> tuple[Any, ...]:
    """What cells share that stand beside each other: one task left out of one is left out of all."""
    cell = record["cell"]
    return cell["order"], cell["seed"], cell["model"], tuple(record["tasks"]), record.get("stream_fingerprint", "")


def _zero_experts(record: Mapping[str, Any], metric: str) -> tuple[str, ...]:
    if _scale(record, metric).better == "lower":
        return ()
    return zero_experts(_experts(record, metric) or None, record["tasks"])


def _common_scale(records: Sequence[Mapping[str, Any]], metric: str) -> Scale:
    """Unit and direction of a metric, in which all cells must agree."""
    found: dict[Scale, str] = {}
    for record in records:
        with _telling(record):
            if metric in record["metrics"]:
                found.setdefault(_scale(record, metric), str(record.get("key")))
    if len(found) > 1:
        keys = " and ".join(found.values())
        raise DataError(f"the cells {keys} don't agree on the unit of {metric}; delete the older record, run it again")
    return next(iter(found), PERCENT)


def _scale(record: Mapping[str, Any], metric: str) -> Scale:
    """Unit and direction of a metric; those of a percentage where the cell wasn't scored by it."""
    found = record["metrics"].get(metric)
    return PERCENT if found is None else Scale(**found)


def _experts(record: Mapping[str, Any], metric: str) -> tuple[float | None, ...]:
    upper = (record.get("experts") or {}).get(metric)
    return () if upper is None else tuple(_number(score) for score in upper)


def _observation(record: Mapping[str, Any], metric: str, zero: Collection[str], scale: Scale) -> Observation:
    cell = record["cell"]
    tasks = tuple(str(task) for task in record["tasks"])
    values, reasons = _measures(record, metric, tasks, zero, scale)
    return Observation(
        method=str(cell["method"]),
        order=str(cell["order"]),
        seed=int(cell["seed"]),
        budget=_budget(cell["budget"]),
        model=str(cell["model"]),
        scale=scale,
        tasks=tasks,
        held_out=tuple(str(task) for task in (record.get("held_out") or {"tasks": ()})["tasks"]),
        stream=str(record.get("stream_fingerprint", "")),
        scores=tuple(tuple(_number(score) for score in row) for row in (record["scores"] or {}).get(metric) or ()),
        experts=_experts(record, metric),
        left_out=tuple(task for task in tasks if task in zero),
        measures=values,
        reasons=reasons,
        cost={name: _number((record.get("cost") or {}).get(name)) for name in COSTS},
        forgotten=forgotten_of(record.get("forgotten")),
        hardware=json.dumps(record.get("hardware"), sort_keys=True, default=str),
        version=str((record.get("packages") or {}).get("inscl", "")),
        spikes=tuple(record.get("spikes") or ()),
        diverged=str(record.get("diverged") or ""),
    )


def _measures(
    record: Mapping[str, Any], metric: str, tasks: Sequence[str], zero: Collection[str], scale: Scale
) -> tuple[dict[str, float | None], dict[str, str]]:
    rows = (record["scores"] or {}).get(metric)
    if rows is None:
        reason = f"the cell was not scored by {metric}"
        names = [*(measure.name for measure in measures_of(scale)), GENERAL, P_SCORE]
        return dict.fromkeys(names), dict.fromkeys(names, reason)
    upper = (record.get("experts") or {}).get(metric)
    matrix = _matrix(rows, len(tasks))
    values, reasons = measured(matrix, None if upper is None else _floats(upper), tasks, zero, scale)
    for name, (number, why) in _held_out(record, metric, len(tasks), scale).items():
        values[name] = number
        reasons |= {} if why is None else {name: why}
    return values, reasons


def _held_out(
    record: Mapping[str, Any], metric: str, stages: int, scale: Scale
) -> dict[str, tuple[float | None, str | None]]:
    """General delta and P-score, each with the reason why it is undefined."""
    held_out = record.get("held_out")
    if held_out is None:
        return dict.fromkeys((GENERAL, P_SCORE), (None, "no task is held out"))
    tasks, matrix = held_out["tasks"], _matrix(held_out["scores"][metric], stages)
    if matrix.shape[1:] != (len(tasks),):
        raise ValueError(f"expected a column for each of the {len(tasks)} held-out tasks")
    # Records of earlier versions have no experts of held-out tasks.
    experts = _floats((held_out.get("experts") or {}).get(metric) or [None] * len(tasks))
    return {
        GENERAL: general_measured(matrix, tasks, scale),
        P_SCORE: p_score_measured(matrix, experts, tasks, scale),
    }


def _matrix(rows: Sequence[Sequence[float | None]], stages: int) -> NDArray[np.float64]:
    """Scores as an array with a row for the base model and for each stage."""
    if len(rows) != stages + 1:
        raise ValueError(f"expected {stages + 1} rows of scores for {stages} tasks, got {len(rows)}")
    return np.array([_floats(row) for row in rows])


def _budget(given: Mapping[str, Any] | None) -> BudgetKey | None:
    if given is None:
        return None
    chosen = [(str(kind), float(value)) for kind, value in given.items() if value is not None]
    if len(chosen) != 1 or not math.isfinite(chosen[0][1]):
        raise ValueError(f"expected a budget of one kind with one number, got {dict(given)}")
    return chosen[0]


def _floats(row: Sequence[float | None]) -> NDArray[np.float64]:
    return np.array([math.nan if value is None else value for value in row], dtype=np.float64)


def _number(value: Any) -> float | None:
    return None if value is None or not math.isfinite(value) else float(value)
