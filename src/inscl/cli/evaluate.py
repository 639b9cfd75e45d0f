"""``inscl evaluate``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["evaluate"]


def evaluate(
    run: Annotated[Path, typer.Argument(help="A run folder.", show_default=False)],
    stage: Annotated[
        int | None, typer.Option(help="Which stage's model; 0: the base model. Default: the last.")
    ] = None,
    task: Annotated[list[str] | None, typer.Option(help="Score only this task; may be repeated.")] = None,
) -> None:
    """Score a recorded stage on tasks it wasn't scored on yet, and enter them in the run."""
    from inscl.cli.progress import display
    from inscl.cli.tables import print_run
    from inscl.engine.evaluate_stage import evaluate_stage

    with display() as progress:
        finished = evaluate_stage(run, stage, task or [], progress)
    print_run(finished)
