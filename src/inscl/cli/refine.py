"""``inscl refine``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["refine"]


def refine(
    data: Annotated[
        str, typer.Argument(help="A folder, file, YAML list, configuration, hub id, or demo.", show_default=False)
    ],
    out: Annotated[Path, typer.Argument(help="The folder to write.", show_default=False)],
    refiner: Annotated[str, typer.Option("--with", metavar="NAME", help="The refiner (`inscl list refiners`).")],
    changes: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE", help="A parameter of the refiner, such as threshold=0.8 or llm.model=NAME."
        ),
    ] = None,
    leaks: Annotated[
        str, typer.Option(help="What to do if a test example is also in train: error, drop (the train copy) or allow.")
    ] = "error",
    student: Annotated[
        str | None,
        typer.Option(metavar="MODEL", help="Show the mean IFD of rows before and after by this model on the page."),
    ] = None,
    on: Annotated[str, typer.Option(metavar="PLACE", help="Where to refine: local or ray.")] = "local",
    workers: Annotated[
        int | None, typer.Option(help="On Ray: most workers. Default: as many as fit.", min=1, show_default=False)
    ] = None,
    gpus: Annotated[float, typer.Option(help="On Ray: GPUs, or the share of one, that a worker gets.", min=0)] = 0,
    estimate: Annotated[
        bool, typer.Option("--estimate", help="Only show what asking a language model would cost; ask nothing.")
    ] = False,
) -> None:
    """Write a refined stream: refine train rows, keep test rows, and report what happened to every row."""
    from typing import cast

    from inscl.cli.progress import display
    from inscl.cli.terminal import plain
    from inscl.config.loading import parameters
    from inscl.data.stream_settings import Leaks
    from inscl.planning.on_ray import place_of
    from inscl.planning.refining_on_ray import refining_on
    from inscl.refining.refine_stream import UNCHANGED, estimate_refining, refine_stream

    place = place_of(on, workers, gpus)
    params = parameters(changes or [])
    cost = estimate_refining(data, refiner, params, leaks=cast(Leaks, leaks))
    if cost is not None or estimate:
        typer.echo(plain(f"{refiner}: " + (f"at most {cost}" if cost else "asks no language model")))
    if estimate:
        return
    with display() as progress:
        done = refine_stream(
            data,
            out,
            refiner,
            params,
            leaks=cast(Leaks, leaks),
            student=student,
            elsewhere=refining_on(place, progress) if place else None,
            progress=progress,
        )
    for task, counts in done.counts.items():
        told = ", ".join(f"{count} {what}" for what, count in counts.items())
        typer.echo(plain(f"{task}: {told}{' (done before)' if task in done.resumed else ''}"))
    if done.unchanged:
        typer.echo(f"note: {done.unchanged} rows stay as they were, with reasons in {done.folder / UNCHANGED}")
    if done.partly:
        said = f"to {done.partly} rows less was added than was to be"
        typer.echo(f"note: {said}, with reasons in {done.folder / UNCHANGED}")
    if done.spent is not None:
        typer.echo(f"asked: {done.spent}")
    for finding in done.findings:
        typer.echo(plain(f"note: {finding}"))
    typer.echo(plain(f"stream: {done.folder}"))
    typer.echo(plain(f"rejected rows, with reasons: {done.rejected}"))
    typer.echo(plain(f"rows before and after: {done.page}"))
