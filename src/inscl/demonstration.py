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
    told = _TimeLeft(progress or NullProgress(), chosen)
    first = run(chosen[0], progress=told)
    told.run = 1
    # When the first task is learned there is nothing to replay, so both runs begin with the same stage.
    runs = [first, run(chosen[1], progress=told, beside=first.path)]
    return runs, write_report([made.path for made in runs], out / "report.html")


class _TimeLeft:
    """Passes on what the runs tell, and says at each stage how long both together will still take.

    The stages so far tell how long an example takes, to be taught or, at a third of that, to be asked.

    Attributes:
        run: Which run tells, 0 or 1.
    """

    def __init__(self, progress: Progress, runs: Sequence[RunConfig]) -> None:
        self._progress, self._runs, self.run = progress, runs, 0
        self._began, self._work_now = 0.0, 0.0
        self._seconds, self._work_done = 0.0, 0.0

    def stage(self, number: int, total: int, task: str) -> None:
        """See `Progress`."""
        self._progress.stage(number, total, task)
        if self._work_now:
            self._seconds += time.monotonic() - self._began
            self._work_done += self._work_now
        self._began, self._work_now = time.monotonic(), self._work(self.run, number, total)
        if self._work_done and self._work_now:
            left = [(self.run, stage) for stage in range(number, total + 1)]
            left += [(run, stage) for run in range(self.run + 1, 2) for stage in range(1, total + 1)]
            work = sum(self._work(run, stage, total) for run, stage in left)
            seconds = round(self._seconds / self._work_done * work)
            self._progress.note(f"about {seconds // 60}:{seconds % 60:02d} left of the whole demo")

    def _work(self, run: int, stage: int, total: int) -> float:
        """Of a stage (from 1), in taught examples; nothing for the one that the second run takes from the first."""
        if run and stage == 1:
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
