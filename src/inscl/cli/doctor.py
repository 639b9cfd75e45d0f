"""``inscl doctor``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["doctor"]


def doctor(
    run: Annotated[
        Path | None, typer.Argument(help="A run folder or workspace to check instead.", show_default=False)
    ] = None,
) -> None:
    """Show what this machine has: versions, cores, bf16, GPU, extras, broken plugins, and the default model.

    With a run folder or a workspace, check every file in it against its checksum. Exit code 1 if one is damaged.
    """
    from inscl.cli.terminal import plain

    if run is not None:
        _examine(run)
        return
    from inscl.doctor.diagnosis import diagnose

    for finding in diagnose():
        typer.echo(plain(f"{'ok' if finding.ok else '--'}  {finding.subject}: {finding.detail}"))


def _examine(run: Path) -> None:
    from inscl.cli.terminal import plain
    from inscl.data.places import shown
    from inscl.doctor.verification import verify

    found = verify(run)
    for damage in found:
        typer.echo(plain(f"--  {damage}"))
    if found:
        raise typer.Exit(1)
    typer.echo(plain(f"ok  {shown(run)}: every file is as it was written"))
