"""``inscl export``."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

__all__ = ["export"]


class Target(str, Enum):
    """Programs that a mix can be written for."""

    jsonl = "jsonl"
    trl = "trl"
    llama_factory = "llama-factory"
    axolotl = "axolotl"
    ms_swift = "ms-swift"


def export(
    run: Annotated[Path, typer.Argument(help="A workspace or run folder.", show_default=False)],
    to: Annotated[
        Target | None, typer.Option(help="Write the mixed data with a configuration for this program.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Output folder. Default: next to RUN, with -export appended to its name.")
    ] = None,
    stage: Annotated[int | None, typer.Option(help="The stage to export. Default: the last one learned.")] = None,
    data: Annotated[
        Path | None, typer.Option("--next", metavar="DATA", help="Export the mix for this new task instead.")
    ] = None,
    merged: Annotated[bool, typer.Option("--merged", help="Write the stage's model, merged, in bf16.")] = False,
) -> None:
    """Export to other programs: a mix of new data and replay, or a merged model."""
    from inscl.cli.progress import display
    from inscl.cli.terminal import plain
    from inscl.data.places import address_of
    from inscl.errors import ConfigError
    from inscl.handover import export as hand_over

    address = address_of(run)
    if address and out is None:
        raise ConfigError("the export of what is at an address needs a local folder: give --out", "inscl export")
    run_folder = run if address else run.resolve()  # beside `.` is above it
    folder = out or run_folder.parent / f"{run_folder.name}-export"
    with display() as progress:
        made = hand_over(run, to and to.value, folder, stage, merged, data=data, progress=progress)
    if to is not None:
        typer.echo(f"{made.new + made.replayed} examples: {made.new} new, {made.replayed} replayed")
    for note in made.notes:
        typer.echo(plain(f"note: {note}"))
    typer.echo(plain(f"{made.folder}: {', '.join(made.files)}"))
