"""What a grid would cost: tokens from the data, seconds from measured speed."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from inscl.bench.grid.experiment import choose
from inscl.bench.grid.grid import Cell, Grid, cells_of
from inscl.bench.grid.records import read_records
from inscl.config import kinds
from inscl.contract import Memory, Question, Stream, Task
from inscl.contract.plan import ReplayPlan
from inscl.contract.traits import StrategyTraits, traits_of
from inscl.engine.parts import Parts
from inscl.engine.plan import stream_of
from inscl.evaluation.evaluate import needs_of
from inscl.storage.files.provenance import hardware
from inscl.storage.objects.places import local_folder

__all__ = ["estimate"]


@dataclass(frozen=True)
class _Speed:
    """Tokens trained and test prompts answered a second, None where that is unknown, and where it is from."""

    tokens: float | None
    answers: float | None
    source: str

    def seconds(self, tokens: int, answers: int) -> float | None:
        """How long that takes; None where it is unknown."""
        if self.answers is None or (tokens and self.tokens is None):
            return None
        return (tokens / self.tokens if tokens and self.tokens else 0.0) + answers / self.answers

    def __str__(self) -> str:
        if self.tokens is None or self.answers is None:
            return f"{self.source}, without a speed"
        return f"{self.tokens:.0f} tokens/s, {self.answers:.1f} answers/s, {self.source}"


def estimate(grid: Grid, *, out: Path | None = None, only: Sequence[str] = (), jobs: int = 1) -> list[str]:
    """Which cells would run and for how long, a line each, then the sum.

    The speed is that of the records made on this hardware; without any it is measured on a few examples. Experts and
    base rows that are not shared yet come on top and are said apart; so does planning, which is short.

    Args:
        grid: The grid.
        out: Where it works; default: the grid's ``output_dir``.
        only: As for `bench`.
        jobs: Cells at a time; they are taken to be as fast together as one alone with all cores.
    """
    grid = grid.model_copy(update={"output_dir": str(local_folder(out or grid.output_dir, new=True))})
    cells = cells_of(grid)
    records = read_records(Path(grid.output_dir) / "records")
    known = {record["key"] for record in records}
    missing = [cell for cell in choose(cells, only) if cell.key not in known]
    if not missing:
        return [f"nothing to run: all {len(cells)} cells have a record"]
    streams = {cell.key: stream_of(cell.config) for cell in missing}
    speed = _speed(records, missing[0], streams[missing[0].key])
    lines: list[str] = []
    total: float | None = 0.0
    for cell in missing:
        tokens, answers = _work(cell, streams[cell.key])
        seconds = speed.seconds(tokens, answers)
        total = None if total is None or seconds is None else total + seconds
        lines.append(f"{cell.title}: {tokens:,} tokens, {answers:,} answers, {_about(seconds)}")
    lines.append(
        f"{len(missing)} of {len(cells)} cells to run, {_about(total)} in all with {jobs} at a time ({speed}); "
        "experts and base rows not shared yet come on top"
    )
    return lines


def _work(cell: Cell, stream: Stream) -> tuple[int, int]:
    """Tokens to train on and answers to make."""
    parts = Parts.of(cell.config)
    costs = {task.name: [parts.count_tokens(example) for example in task.train] for task in stream}
    epochs, between = parts.epochs, cell.config.evaluation.between
    traits = traits_of(kinds.load("strategies", cell.config.replay.strategy), StrategyTraits)
    tokens, answers, last = 0.0, 0, len(stream)
    asked = _asked(parts, stream)
    for stage, task in enumerate(stream, start=1):
        earlier = stream.tasks[: stage - 1]
        tokens += sum(costs[task.name])
        past = [cost for known in earlier for cost in costs[known.name]]
        if past and (traits.replays_all or cell.budget):
            limit = cell.budget.get("tokens") if cell.budget else None
            count = len(past) if traits.replays_all else parts.budget.examples(Memory(earlier), task)
            replayed = costs[task.name] if traits.rehearses_new_task else past
            tokens += min(limit or float("inf"), count * fmean(replayed))
        again = (*earlier, *stream.held_out)
        most = max(asked.values()) if stage == last or between is None else between
        answers += asked[task.name] + sum(min(most, asked[one.name]) for one in again)
    if traits.waits:
        return round(epochs * sum(map(sum, costs.values()))), sum(asked.values())
    return round(epochs * tokens), answers


def _asked(parts: Parts, stream: Stream) -> dict[str, int]:
    """Task -> how many of its test examples are asked by the metric that asks most."""
    limits = [parts.config.evaluation.most_asked(needs_of(scorer)) for scorer in parts.scorers.values()]
    return {
        task.name: max(len(task.test) if most is None else min(most, len(task.test)) for most in limits)
        for task in stream.scored
    }


def _speed(records: Sequence[dict[str, Any]], cell: Cell, stream: Stream) -> _Speed:
    here = hardware()
    alike = [record for record in records if record["hardware"] == here and record["cost"]["train_seconds"]]
    if alike:
        tokens = _rate(sum(r["cost"]["tokens"] for r in alike), sum(r["cost"]["train_seconds"] for r in alike))
        return _Speed(tokens, _answers_per_second(alike), f"measured in {len(alike)} records of this machine")
    learner: Any = Parts.of(cell.config).new_learner()
    nothing = ReplayPlan.nothing("measured")
    few = Task("measured", stream.tasks[0].train[:8], stream.tasks[0].test[:8])
    learner.learn(few, nothing)  # the first call also loads the model
    report = learner.learn(few, nothing)
    began = time.perf_counter()
    learner.answer([Question.of(example) for example in few.test], max_new_tokens=32)
    seconds = time.perf_counter() - began
    tokens, answers = _rate(report.tokens, report.seconds), _rate(max(1, len(few.test)), seconds)
    return _Speed(tokens, answers, "measured now on eight examples")


def _answers_per_second(records: Sequence[dict[str, Any]]) -> float | None:
    answers = sum(sum(map(sum, record["answers"])) for record in records)
    return _rate(answers, sum(record["cost"]["evaluate_seconds"] for record in records))


def _rate(count: float, seconds: float) -> float | None:
    """So many a second; None where nothing was done, or in no time, which says nothing of how long more would take."""
    return count / seconds if count > 0 and seconds > 0 else None


def _about(seconds: float | None) -> str:
    if seconds is None:
        return "time unknown"
    return f"about {seconds / 60:.0f} min" if seconds >= 90 else f"about {seconds:.0f} s"
