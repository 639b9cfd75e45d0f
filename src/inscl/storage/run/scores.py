"""The score matrix of a run: which task scored what after which stage."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inscl.contract.scale import Scale

__all__ = ["ScoreMatrix"]

Scores = Mapping[str, Mapping[str, Any]]


@dataclass
class ScoreMatrix:
    """R[i][j], the score on task j after stage i, for each metric; what was not evaluated is absent.

    Attributes:
        tasks: Task names in the order in which they are learned; T of them.
        scales: Metric -> its unit and which direction is good; the first one leads.
        cells: (stage, task) -> metric -> ``{"mean", "standard_error", "n"}``, in the metric's unit.
        experts: task -> the same, for a model trained on that task alone.
        held_out: Names of the tasks that are scored and never learned; no column of `array` is theirs.
    """

    tasks: Sequence[str]
    scales: Mapping[str, Scale]
    cells: dict[tuple[int, str], Scores] = field(default_factory=dict)
    experts: dict[str, Scores] = field(default_factory=dict)
    held_out: Sequence[str] = ()

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of the metrics, the leading one first."""
        return tuple(self.scales)

    def add(self, stage: int, scores: Mapping[str, Scores]) -> None:
        """Enter the scores of one stage, by task."""
        self.cells.update({(stage, task): values for task, values in scores.items()})

    def array(self, metric: str | None = None) -> NDArray[np.float64]:
        """Shape (T + 1, T), in the metric's unit; row 0 is the base model, NaN where not evaluated.

        Default: the leading metric.
        """
        return self._columns(self.tasks, metric)

    def held_out_array(self, metric: str | None = None) -> NDArray[np.float64]:
        """The same for the tasks that are held out: shape (T + 1, their number)."""
        return self._columns(self.held_out, metric)

    def _columns(self, tasks: Sequence[str], metric: str | None) -> NDArray[np.float64]:
        name = metric or self.metrics[0]
        matrix = np.full((len(self.tasks) + 1, len(tasks)), np.nan)
        column = {task: j for j, task in enumerate(tasks)}
        for (stage, task), values in self.cells.items():
            if task in column and name in values:
                matrix[stage, column[task]] = values[name]["mean"]
        return matrix

    def expert_array(self, metric: str | None = None) -> NDArray[np.float64]:
        """Shape (T,), in the metric's unit; NaN where no expert was trained."""
        return self._experts(self.tasks, metric)

    def held_out_expert_array(self, metric: str | None = None) -> NDArray[np.float64]:
        """The same for the tasks that are held out: shape (their number,)."""
        return self._experts(self.held_out, metric)

    def _experts(self, tasks: Sequence[str], metric: str | None) -> NDArray[np.float64]:
        name = metric or self.metrics[0]
        known = [self.experts.get(task, {}) for task in tasks]
        return np.array([scores[name]["mean"] if name in scores else np.nan for scores in known], dtype=np.float64)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> ScoreMatrix:
        """The matrix whose `to_json` gave `content`."""
        cells = {(cell["stage"], cell["task"]): cell["scores"] for cell in content["cells"]}
        scales = {metric: Scale(**scale) for metric, scale in content["metrics"].items()}
        return cls(tuple(content["tasks"]), scales, cells, dict(content["experts"]), tuple(content["held_out"]))

    def to_json(self) -> dict[str, Any]:
        """The content of the run's ``scores.json``."""
        return self._from(0)

    def _from(self, first: int) -> dict[str, Any]:
        """`to_json` with cells of the stages from `first` on."""
        place = {task: j for j, task in enumerate((*self.tasks, *self.held_out))}
        ordered = sorted((c for c in self.cells if c[0] >= first), key=lambda cell: (cell[0], place[cell[1]]))
        return {
            "schema": 1,
            "metrics": {metric: scale.to_json() for metric, scale in self.scales.items()},
            "tasks": list(self.tasks),
            "held_out": list(self.held_out),
            "cells": [{"stage": i, "task": task, "scores": self.cells[i, task]} for i, task in ordered],
            "experts": {task: self.experts[task] for task in place if task in self.experts},
        }

    def to_text(self, before: str = "") -> str:
        """The same as JSON, a line a cell: read like any other, and written fast however many cells there are.

        Args:
            before: The text of all stages but the last, where that is at hand: its cells are taken from there.
        """
        content = self._from(len(self.tasks) if before else 0)
        # In one call, which is several times as fast; within a string no quotation mark follows a brace without a
        # backslash between, so that the lines are broken between cells and nowhere else.
        cells = json.dumps(content["cells"], ensure_ascii=False, allow_nan=False)[1:-1]
        cells = cells.replace('}, {"stage": ', '},\n  {"stage": ')
        known = before.partition('\n "cells": [\n  ')[2].partition("\n ],\n")[0]
        cells = ",\n  ".join(filter(None, (known, cells)))
        # The head is written as every other record is; the list of cells takes the place of an empty one.
        head = json.dumps({**content, "cells": []}, ensure_ascii=False, indent=1, allow_nan=False)
        mark = '\n "cells": []'
        return head.replace(mark, f"{mark[:-1]}\n  {cells}\n ]" if cells else mark, 1) + "\n"
