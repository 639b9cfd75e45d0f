"""The demo: one small stream, learned with No Replay and with InsCL, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

import yaml

from inscl.config.loading import load_config
from inscl.contract.seams import Progress
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
    first = run(chosen[0], progress=progress)
    # When the first task is learned there is nothing to replay, so both runs begin with the same stage.
    runs = [first, run(chosen[1], progress=progress, beside=first.path)]
    return runs, write_report([made.path for made in runs], out / "report.html")
