"""The progress of a long command: a live display on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from inscl.cli.terminal import plain
from inscl.contract.scale import Scale
from inscl.contract.seams import Progress

__all__ = ["LineProgress", "LiveProgress", "display"]


@contextmanager
def display() -> Iterator[Progress]:
    """A `Progress` that suits the output device; the terminal is restored when the block ends."""
    if not sys.stderr.isatty():
        yield LineProgress()
        return
    live = LiveProgress()
    with live.bars:
        yield live


class LineProgress:
    """One line for each stage, phase and score on standard error, and one every ten seconds in between."""

    def __init__(self, every: float = 10.0) -> None:
        self._every, self._last = every, 0.0
        self._started = self._phase_started = time.monotonic()
        self._stage = self._phase = ""
        self._total = 0

    def stage(self, number: int, total: int, task: str) -> None:
        """See `Progress`."""
        self._stage = f"stage {number}/{total} {task}"
        self._say(self._stage)

    def phase(self, name: str, total: int) -> None:
        """See `Progress`."""
        self._phase, self._total = name, total
        self._phase_started = self._last = time.monotonic()

    def advance(self, done: int, **facts: Any) -> None:
        """See `Progress`."""
        moment = time.monotonic()
        if moment - self._last < self._every:
            return
        self._last = moment
        if not self._total:  # no phase was announced, as when a single question is answered
            return
        left = _seconds_left(moment - self._phase_started, done, self._total)
        shown = "".join(f", {text}" for text in (_facts(facts), left) if text)
        self._say(f"{self._stage}: {self._phase} {done}/{self._total}{shown}")

    def score(self, task: str, metric: str, mean: float, scale: Scale) -> None:
        """See `Progress`."""
        self._say(f"{self._stage}: {task} {metric} {scale.text(mean)}")

    def note(self, message: str) -> None:
        """See `Progress`."""
        self._say(f"note: {message}")

    def _say(self, text: str) -> None:
        seconds = int(time.monotonic() - self._started)
        sys.stderr.write(f"[{seconds // 60:3d}:{seconds % 60:02d}] {plain(text)}\n")
        sys.stderr.flush()


class LiveProgress:
    """Two bars, stages and the phase at work, with loss, tokens a second, time left and the scores so far."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
        from rich.progress import Progress as Bars

        self.bars = Bars(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[facts]}", markup=False),
            console=Console(stderr=True),
        )
        self._stages = self.bars.add_task("stages", total=None, facts="")
        self._phase = self.bars.add_task("", total=None, facts="")
        self._scores: dict[str, float] = {}

    def stage(self, number: int, total: int, task: str) -> None:
        """See `Progress`."""
        self.bars.update(self._stages, description=plain(task), total=total, completed=max(0, number - 1))

    def phase(self, name: str, total: int) -> None:
        """See `Progress`."""
        self.bars.reset(self._phase, description=plain(f"  {name}"), total=total, facts="")

    def advance(self, done: int, **facts: Any) -> None:
        """See `Progress`."""
        self.bars.update(self._phase, completed=done, facts=_facts(facts))

    def score(self, task: str, metric: str, mean: float, scale: Scale) -> None:
        """See `Progress`."""
        self._scores[task] = mean
        average = sum(self._scores.values()) / len(self._scores)
        self.bars.update(self._stages, facts=f"{metric} so far {scale.text(average)}")
        self.note(f"{task} {metric} {scale.text(mean)}")

    def note(self, message: str) -> None:
        """See `Progress`."""
        self.bars.console.print(plain(message), markup=False, highlight=False)


def _facts(facts: dict[str, Any]) -> str:
    shown = []
    if facts.get("loss") is not None:
        shown.append(f"loss {facts['loss']:.3f}")
    if facts.get("tokens_per_second"):
        shown.append(f"{facts['tokens_per_second']:.0f} tokens/s")
    return ", ".join(shown)


def _seconds_left(elapsed: float, done: int, total: int) -> str:
    if not 0 < done <= total:
        return ""
    left = int(elapsed * (total - done) / done)
    return f"{left // 60}:{left % 60:02d} left"
