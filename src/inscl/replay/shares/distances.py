"""How far the instructions of each earlier task lie from those of the new one."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from inscl.contract import Memory, Task
from inscl.contract.seams import Embedder
from inscl.contract.stored_facts import known_of
from inscl.contract.task_summary import TaskSummary
from inscl.errors import ConfigError, Problem
from inscl.transport import Coreset, bounded_distance, coreset, distances
from inscl.transport.distance import quiet
from inscl.transport.distances import on_all_cores

__all__ = ["EXACT_PAIRS", "TaskDistances"]

EXACT_PAIRS = 50_000_000
"""Pairs of instructions, one of an earlier task and one of the new, up to which a plan's distances are exact."""

# The new task's summary is made once a plan, and compared with all: it may be the finer.
_FINER = 2
# Tasks whose vectors are in memory at once while they are summarised.
_AT_ONCE = 32

Weighted = tuple[NDArray[np.float32], NDArray[np.float64] | None]


@dataclass(frozen=True)
class Measured:
    """Distances of the earlier tasks to the new one.

    Attributes:
        values: Shape (tasks,), in units of the cost.
        reasons: What each task's share says of them.
        notes: What the plan says besides.
        parameters: What its parameters say of them.
    """

    values: NDArray[np.float64]
    reasons: Sequence[Mapping[str, Any]]
    notes: tuple[str, ...] = ()
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class TaskDistances:
    """Measures transport distances between tasks, from all their instructions or from summaries of them.

    Args:
        embedder: Instructions to vectors; asked only for what the memory doesn't hold.
        weights: ``"real"`` weights each instruction by its frequency in its task, ``"uniform"`` all alike.
        cost: ``"cosine"`` or ``"euclidean"``.
        p: Order of the distance.
        method: ``"exact"`` or ``"entropic"``; the latter knows no summaries.
        summarise: ``"large"`` takes summaries beyond `EXACT_PAIRS`; ``"never"`` and ``"always"`` do as they say.
        size: Points of a summary.

    Attributes:
        made: Task name -> the summary used for it last, for the memory to keep.
    """

    embedder: Embedder | None
    weights: str
    cost: Literal["cosine", "euclidean"]
    p: float
    method: Literal["exact", "entropic"]
    summarise: str = "large"
    size: int = 96
    made: dict[str, TaskSummary] = field(default_factory=dict, init=False)

    def measure(self, memory: Memory, new_task: Task) -> Measured:
        """The distance of every task in memory to `new_task`."""
        pairs = sum(task.distinct for task in memory.tasks) * new_task.distinct
        if self.summarise == "always" or (self.summarise == "large" and self.method == "exact" and pairs > EXACT_PAIRS):
            return self._from_summaries(memory, new_task)
        fresh = self._vectors((*memory.tasks, new_task), memory)
        values = distances(
            len(memory),
            lambda k: self._weighted(memory.tasks[k], fresh),
            self._weighted(new_task, fresh),
            cost=self.cost,
            p=self.p,
            method=self.method,
            entries=pairs,
        )
        return Measured(values, [{"distance": float(value)} for value in values])

    def _from_summaries(self, memory: Memory, new_task: Task) -> Measured:
        summaries = self._summaries(memory)
        same = self._content(new_task)
        vectors = self._weighted(new_task, self._vectors((new_task,), memory))
        with quiet():
            new = coreset(*vectors, self.size * _FINER, cost=self.cost, p=self.p)

        def measured(task: Task) -> tuple[float, float, float]:
            one = summaries[task.name]
            if one.of.endswith(same):
                return 0.0, 0.0, 0.0
            found = bounded_distance(Coreset(one.points, one.weights, one.spread), new, cost=self.cost, p=self.p)
            return found.distance, found.low, found.high

        rows = on_all_cores(measured, memory.tasks)
        said = "each exact distance is in its distance_bounds (replay.params.summarise: never computes them)"
        note = f"distances were measured from summaries of {self.size} points a task: {said}"
        reasons = [{"distance": value, "distance_bounds": [low, high]} for value, low, high in rows]
        values = np.array([row[0] for row in rows], dtype=np.float64)
        return Measured(values, reasons, (note,) if rows else (), {"summary_size": self.size})

    def _summaries(self, memory: Memory) -> dict[str, TaskSummary]:
        """A summary of each task: kept in the memory, made for an earlier plan, or made now."""
        of = {task.name: self._identity(task) for task in memory.tasks}
        known = {**memory.summaries, **self.made}
        self.made = {name: known[name] for name in of if name in known and known[name].of.startswith(of[name])}
        missing = [task for task in memory.tasks if task.name not in self.made]
        for start in range(0, len(missing), _AT_ONCE):
            part = missing[start : start + _AT_ONCE]
            fresh = self._vectors(part, memory)

            def summarised(task: Task, fresh: Mapping[str, NDArray[np.float32]] = fresh) -> TaskSummary:
                one = coreset(*self._weighted(task, fresh), self.size, cost=self.cost, p=self.p)
                return TaskSummary(of[task.name] + self._content(task), one.points, one.weights, one.spread)

            self.made |= {task.name: one for task, one in zip(part, on_all_cores(summarised, part), strict=True)}
        return self.made

    def _identity(self, task: Task) -> str:
        """Digest of what a task's summary depends on; none of the instructions of a stored task is read for it."""
        settings = [self.weights, self.cost, self.p, self.size, getattr(self.embedder, "fingerprint", None)]
        return hashlib.sha256(json.dumps([settings, task.instruction_digest]).encode()).hexdigest()

    def _content(self, task: Task) -> str:
        """Digest of a task's distribution, whatever the order of its instructions."""
        counts = task.instruction_counts
        content = sorted(counts.items()) if self.weights == "real" else sorted(counts)
        return hashlib.sha256(json.dumps(content, ensure_ascii=True).encode()).hexdigest()

    def _weighted(self, task: Task, fresh: Mapping[str, NDArray[np.float32]]) -> Weighted:
        frequencies = np.array(list(task.instruction_counts.values()), dtype=np.float64)
        points = np.stack([fresh[text] for text in task.instruction_counts])
        return points, frequencies if self.weights == "real" else None

    def _vectors(self, tasks: Sequence[Task], memory: Memory) -> Mapping[str, NDArray[np.float32]]:
        """Vectors of the instructions of some tasks; those that the memory has none of are asked for all at once."""
        texts = list(dict.fromkeys(text for task in tasks for text in task.instruction_counts))
        known = known_of(memory.vectors, texts)
        missing = [text for text in texts if text not in known]
        if missing and self.embedder is None:
            raise ConfigError(
                [Problem("embedder", f"dynamic replay needs an embedder: {len(missing)} instructions have no vector")]
            )
        return (
            {**known, **dict(zip(missing, self.embedder(missing), strict=True))} if missing and self.embedder else known
        )
