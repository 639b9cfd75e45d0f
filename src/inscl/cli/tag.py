"""``inscl tag``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["tag"]


def tag(
    config: Annotated[Path, typer.Argument(help="The configuration, a YAML file.", show_default=False)],
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change a setting, such as replay.tagger=llm."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Write the tags to this file, one JSON line per instruction.")
    ] = None,
    on: Annotated[str, typer.Option(metavar="PLACE", help="Where to tag: local or ray.")] = "local",
    workers: Annotated[
        int | None, typer.Option(help="On Ray: most workers. Default: as many as fit.", min=1, show_default=False)
    ] = None,
    estimate: Annotated[bool, typer.Option("--estimate", help="Only show what tagging would cost.")] = False,
) -> None:
    """Tag the instructions of a stream, merge synonyms, and show each instruction's InsInfo."""
    from inscl.cli.progress import display
    from inscl.cli.tables import print_tags
    from inscl.planning.on_ray import place_of
    from inscl.planning.tags import estimate_tagging, tag_stream

    place = place_of(on, workers)
    cost = estimate_tagging(config, changes or [])
    if cost:
        typer.echo(cost)
    if estimate:
        return
    with display() as progress:
        rows = tag_stream(config, out, overrides=changes or [], on=place, progress=progress)
    print_tags(rows)
    if out:
        typer.echo(f"tags: {out}")
