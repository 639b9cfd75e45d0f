"""How far two runs are that go on at the same time, on one display."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from inscl.config.settings import RunConfig
from inscl.contract.scale import Scale
from inscl.contract.seams import Progress

__all__ = ["BothRuns", "Passed"]


class BothRuns:
    """Passes on what the two runs tell, and says at each stage how long both together will still take.

    The bars show the first run until it is done, then the second one; what the second one scores meanwhile is told in
    notes. The time left is that of the work left at the pace so far, both runs together.
    """

    def __init__(self, progress: Progress, runs: Sequence[RunConfig]) -> None:
        self._progress, self._runs, self._shown = progress, runs, 0
        self._lock = threading.RLock()
        self._began = time.monotonic()
        self._first: dict[int, int] = {}  # by run: the stage that it began with
        self._at: dict[int, int] = {}  # by run: the stage that it is at

    def of(self, run: int, learned: Callable[[], None] = lambda: None) -> Progress:
        """Where run 0 or 1 tells how far it is.

        Args:
            run: Which.
            learned: Called whenever a stage after the first begins.
        """

        def tell(method: str, *arguments: Any, **facts: Any) -> None:
            self.tell(run, method, *arguments, **facts)
            if method == "stage" and arguments[0] > 1:
                learned()

        return Passed(tell)

    def show_second(self) -> None:
        """The first run is done."""
        with self._lock:
            self._shown = 1

    def tell(self, run: int, method: str, *arguments: Any, **facts: Any) -> None:
        """Pass on a call of `Progress`."""
        with self._lock:
            if method == "stage":
                self._stage(run, *arguments)
            elif run == self._shown:
                getattr(self._progress, method)(*arguments, **facts)
            elif method == "score":
                self._progress.note(f"{self._runs[run].label}: {_score(*arguments)}")
            elif method == "note":
                self._progress.note(f"{self._runs[run].label}: {arguments[0]}")

    def _stage(self, run: int, number: int, total: int, task: str) -> None:
        if run == self._shown:
            self._progress.stage(number, total, task)
        else:
            self._progress.note(f"{self._runs[run].label}: stage {number}/{total} {task}")
        self._first.setdefault(run, number)
        self._at[run] = number
        done = sum(self._work(one, k, total) for one, at in self._at.items() for k in range(self._first[one], at))
        left = sum(self._work(one, k, total) for one in (0, 1) for k in range(self._at.get(one, 1), total + 1))
        if done:
            seconds = round((time.monotonic() - self._began) / done * left)
            self._progress.note(f"about {seconds // 60}:{seconds % 60:02d} left of the whole demo")

    def _work(self, run: int, stage: int, total: int) -> float:
        """Of a stage (from 1), in taught examples; being asked takes a third of being taught.

        Nothing for the stage that the second run takes from the first.
        """
        if run and stage == 1:
            return 0.0
        settings = self._runs[run]
        replayed = (settings.replay.budget.per_task or 0) * (stage - 1) if run else 0
        tested = settings.stream.test_per_task or 0
        between = tested if stage == total else settings.evaluation.between or tested
        return (settings.stream.train_per_task or 1) + replayed + (tested + between * (stage - 1)) / 3


@dataclass(frozen=True)
class Passed:
    """A `Progress` that hands every call on, by its name and arguments.

    Attributes:
        tell: Called with the name of the method, its arguments and its facts.
    """

    tell: Callable[..., None]

    def stage(self, number: int, total: int, task: str) -> None:
        """See `Progress`."""
        self.tell("stage", number, total, task)

    def phase(self, name: str, total: int) -> None:
        """See `Progress`."""
        self.tell("phase", name, total)

    def advance(self, done: int, **facts: Any) -> None:
        """See `Progress`."""
        self.tell("advance", done, **facts)

    def score(self, task: str, metric: str, mean: float, scale: Scale) -> None:
        """See `Progress`."""
        self.tell("score", task, metric, mean, scale)

    def note(self, message: str) -> None:
        """See `Progress`."""
        self.tell("note", message)


def _score(task: str, metric: str, mean: float, scale: Scale) -> str:
    return f"{task} {metric} {scale.text(mean)}"
