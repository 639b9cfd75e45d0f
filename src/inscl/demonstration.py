"""The demo: one small stream, learned with No Replay and with InsCL, side by side."""

from __future__ import annotations

import time
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from inscl.config.loading import load_config
from inscl.config.settings import RunConfig
from inscl.contract.scale import Scale
from inscl.contract.seams import NullProgress, Progress
from inscl.pipeline import Run, run
from inscl.reports import write_report

__all__ = ["run_demo"]


def run_demo(out: Path, *, overrides: Sequence[str] = (), progress: Progress | None = None) -> tuple[list[Run], Path]:
    """Learn the demo stream twice and draw both.

    Args:
        out: Folder for both runs and the page; a demo that was interrupted goes on there.
        overrides: Changes to ``demo.yaml``.
        progress: Where to tell how far it is.

    Returns:
        The runs (No Replay first) and the page.
    """
    settings = yaml.safe_load((files("inscl") / "demo.yaml").read_text(encoding="utf-8"))
    chosen = []
    for strategy, label in (("none", "No Replay"), ("inscl", "InsCL")):
        own = [f"replay.strategy={strategy}", f"label={label}", f"output_dir={out / strategy}"]
        chosen.append(load_config(settings, [*overrides, *own]))  # both are checked before the first one runs
    told = [_TimeLeft(progress or NullProgress(), chosen, number) for number in range(2)]
    first = run(chosen[0], progress=told[0])
    # When the first task is learned there is nothing to replay, so both runs begin with the same stage.
    runs = [first, run(chosen[1], progress=told[1], beside=first.path)]
    return runs, write_report([made.path for made in runs], out / "report.html")


class _TimeLeft:
    """Passes on what a run tells, and says at each stage how long both runs together will still take.

    The stage before it tells how long an example takes, to be taught or, at a third of that, to be asked.
    """

    def __init__(self, progress: Progress, runs: Sequence[RunConfig], number: int) -> None:
        self._progress, self._runs, self._number = progress, runs, number
        self._began, self._stage = time.monotonic(), 0

    def stage(self, number: int, total: int, task: str) -> None:
        """See `Progress`."""
        self._progress.stage(number, total, task)
        own = [self._work(self._number, stage, total) for stage in range(total + 1)]
        before, elapsed = own[self._stage], time.monotonic() - self._began
        if self._stage and before:
            later = sum(self._work(run, k, total) for run in range(self._number + 1, 2) for k in range(1, total + 1))
            seconds = round(elapsed / before * (sum(own[number:]) + later))
            self._progress.note(f"about {seconds // 60}:{seconds % 60:02d} left of the whole demo")
        self._began, self._stage = time.monotonic(), number

    def _work(self, run: int, stage: int, total: int) -> float:
        """Of a stage (from 1), in taught examples; nothing for the one that the second run takes from the first."""
        if stage < 1 or (run and stage == 1):
            return 0.0
        settings = self._runs[run]
        replayed = (settings.replay.budget.per_task or 0) * (stage - 1) if run else 0
        tested = settings.stream.test_per_task or 0
        between = tested if stage == total else settings.evaluation.between or tested
        return (settings.stream.train_per_task or 1) + replayed + (tested + between * (stage - 1)) / 3

    def phase(self, name: str, total: int) -> None:
        """See `Progress`."""
        self._progress.phase(name, total)

    def advance(self, done: int, **facts: Any) -> None:
        """See `Progress`."""
        self._progress.advance(done, **facts)

    def score(self, task: str, metric: str, mean: float, scale: Scale) -> None:
        """See `Progress`."""
        self._progress.score(task, metric, mean, scale)

    def note(self, message: str) -> None:
        """See `Progress`."""
        self._progress.note(message)
