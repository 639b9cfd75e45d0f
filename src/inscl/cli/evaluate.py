"""``inscl evaluate``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["evaluate"]


def evaluate(
    run: Annotated[Path, typer.Argument(help="A run folder or workspace.", show_default=False)],
    stage: Annotated[
        int | None, typer.Option(help="The stage to score; 0 is the base model. Default: the last stage.")
    ] = None,
    task: Annotated[list[str] | None, typer.Option(help="Score only this task. Repeatable.")] = None,
) -> None:
    """Score a recorded stage on further tasks, and add the scores to the run."""
    from inscl.cli.progress import display
    from inscl.cli.tables import print_run
    from inscl.engine.evaluate_stage import evaluate_stage

    with display() as progress:
        finished = evaluate_stage(run, stage, task or [], progress)
    print_run(finished)
