"""``inscl listening``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from inscl.contract.seams import Progress, Tagger

__all__ = ["listening"]


def listening(
    run: Annotated[Path, typer.Argument(help="A run folder or workspace.", show_default=False)],
    stage: Annotated[
        int | None, typer.Option(help="The stage whose model is asked; 0 is the base model. Default: the last stage.")
    ] = None,
    examples: Annotated[int, typer.Option(min=1, help="Test questions of each task.")] = 8,
    key_parts: Annotated[
        str | None,
        typer.Option(
            "--key-parts",
            metavar="MODEL",
            help="Let this chat model find the key parts of instructions; local:NAME runs on this machine.",
        ),
    ] = None,
    changes: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE", help="A field of that model, such as base_url=URL or concurrency=8."
        ),
    ] = None,
) -> None:
    """See whether answers change when the key part of their instruction does, and show it in the report."""
    from inscl.cli.progress import display
    from inscl.cli.terminal import plain
    from inscl.config.loading import parameters
    from inscl.data.places import shown
    from inscl.engine.listening_stage import listening_stage
    from inscl.errors import ConfigError, Problem
    from inscl.reports.listening import heard_by_task

    fields = parameters(changes or [])
    if fields and key_parts is None:
        raise ConfigError(
            [Problem("--set", "sets a field of the model that finds key parts: name it with --key-parts")]
        )
    with display() as progress:
        make = None if key_parts is None else lambda: _finder({"model": key_parts, **fields}, progress)
        found = listening_stage(run, stage, examples, make, progress)
    typer.echo("answers that change without the key part of their instruction; and with another task's in its place:")
    for task in heard_by_task(found):
        typer.echo(f"{plain(task.task)}: {task.without} of {task.asked}; {task.swapped} of {task.swappable}")
    typer.echo(f"`inscl report {shown(run)}` shows them")


def _finder(fields: dict[str, object], progress: Progress) -> Tagger:
    from inscl.tagging.key_parts import KeyParts

    return KeyParts(fields, progress=progress)
