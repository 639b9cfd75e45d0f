"""Descent over the rows of a task, as learners share it that train with an optimiser of their own."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from inscl.contract import Task
from inscl.contract.plan import ReplayPlan
from inscl.contract.seams import LearnReport
from inscl.errors import DivergedError

__all__ = ["Descent", "Passes"]


@dataclass(frozen=True)
class Passes:
    """How rows are gone over.

    Attributes:
        epochs: Passes over the rows; the last one may be a part.
        batch_size: Rows per step.
    """

    epochs: float
    batch_size: int

    def steps(self, rows: int) -> int:
        """How many steps `rows` rows take."""
        return math.ceil(self.epochs * math.ceil(rows / self.batch_size))

    def batches(self, rows: int, chance: Any) -> Iterator[list[int]]:
        """Places of the rows of each step; every pass takes all of them in an order of its own.

        Args:
            rows: How many there are.
            chance: A numpy generator.
        """
        left = self.steps(rows)
        while left > 0:
            order = chance.permutation(rows).tolist()
            for start in range(0, rows, self.batch_size):
                if left > 0:
                    yield order[start : start + self.batch_size]
                left -= 1


@dataclass
class Descent:
    """What the steps of one stage took.

    Attributes:
        rows: How many rows there are.
        learning_rate: The same for all steps.
        advance: Told after each step how many are done, and the loss.
        log: One row per step: ``step``, ``loss``, ``learning_rate``, ``tokens`` (so far) and ``seconds``.
        tokens: Tokens read.
        answer_tokens: Tokens that carried loss.
        seen: How often each row was read.
    """

    rows: int
    learning_rate: float
    advance: Callable[..., None] = lambda done, **facts: None
    log: list[dict[str, Any]] = field(default_factory=list)
    tokens: int = 0
    answer_tokens: int = 0
    seen: list[int] = field(init=False)
    _began: float = field(default_factory=time.perf_counter, init=False)

    def __post_init__(self) -> None:
        """Begin: no row was read yet."""
        self.seen = [0] * self.rows

    def finite(self, loss: Any) -> float:
        """The loss of a step that is about to be made.

        Raises:
            DivergedError: It is no number.
        """
        value = float(loss.detach())
        if not math.isfinite(value):
            step = len(self.log) + 1
            raise DivergedError(f"training diverged: loss {value} at step {step}; lower training.learning_rate")
        return value

    def made(self, places: Sequence[int], loss: float, tokens: int, answer_tokens: int) -> None:
        """Take note of a step.

        Args:
            places: Of its rows.
            loss: Before it.
            tokens: That were read.
            answer_tokens: Those of them that carried loss.
        """
        self.tokens += tokens
        self.answer_tokens += answer_tokens
        for place in places:
            self.seen[place] += 1
        facts = {"loss": loss, "learning_rate": self.learning_rate, "tokens": self.tokens}
        seconds = round(time.perf_counter() - self._began, 3)
        self.log.append({"step": len(self.log) + 1, **facts, "seconds": seconds})
        self.advance(len(self.log), loss=loss)

    def report(self, task: Task, plan: ReplayPlan, replay_tokens: int, truncated: int, seconds: float) -> LearnReport:
        """The report of the stage; see `LearnReport` for what isn't counted here."""
        losses = [row["loss"] for row in self.log]
        return LearnReport(
            steps=len(self.log),
            examples=len(task.train),
            replayed=len(plan.picks),
            tokens=self.tokens,
            answer_tokens=self.answer_tokens,
            replay_tokens=replay_tokens,
            seconds=seconds,
            loss=float(np.mean(losses)) if losses else 0.0,
            truncated=truncated,
        )
