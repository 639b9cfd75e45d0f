"""``inscl embed``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["embed"]


def embed(
    config: Annotated[Path, typer.Argument(help="The configuration, a YAML file.", show_default=False)],
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change a setting, such as replay.embedder=minilm."),
    ] = None,
    on: Annotated[str, typer.Option(metavar="PLACE", help="Where to embed: local or ray.")] = "local",
    workers: Annotated[
        int | None, typer.Option(help="On Ray: most workers. Default: as many as fit.", min=1, show_default=False)
    ] = None,
    gpus: Annotated[float, typer.Option(help="On Ray: GPUs, or the share of one, that a worker gets.", min=0)] = 0,
) -> None:
    """Embed the instructions of a stream ahead of time, so that later plans and runs need no time for it."""
    from inscl.cli.progress import display
    from inscl.cli.terminal import plain
    from inscl.planning.on_ray import place_of
    from inscl.planning.vectors import embed_stream

    place = place_of(on, workers, gpus)
    with display() as progress:
        done = embed_stream(config, overrides=changes or [], on=place, progress=progress)
    typer.echo(f"{done.instructions} instructions, {done.computed} of them embedded now")
    typer.echo(plain(f"vectors: {done.cache}"))
