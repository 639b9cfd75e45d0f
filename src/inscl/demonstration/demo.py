"""Both runs of the demo, at the same time where they can be."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

import yaml

from inscl.config.loading import load_config
from inscl.contract.seams import NullProgress, Progress
from inscl.demonstration.both_runs import BothRuns
from inscl.demonstration.second_run import SecondRun
from inscl.pipeline import Run, run
from inscl.reports import write_report

__all__ = ["run_demo"]


def run_demo(out: Path, *, overrides: Sequence[str] = (), progress: Progress | None = None) -> tuple[list[Run], Path]:
    """Learn the demo stream twice and draw both.

    The runs begin with the same stage, since there is nothing to replay when the first task is learned. It is learned
    once; from then on the second run goes on in a process of its own, which has loaded its libraries meanwhile. Two
    processes with small steps keep two cores busier than one process with two threads.

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
    told = BothRuns(progress or NullProgress(), chosen)
    with SecondRun(chosen[1], out / "none", told.of(1)) as second:
        second.prepare()
        first = run(chosen[0], progress=told.of(0, second.start))
        told.show_second()
        runs = [first, second.finished()]
    return runs, write_report([made.path for made in runs], out / "report.html")
