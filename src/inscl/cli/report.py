"""``inscl report``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["report"]


def report(
    runs: Annotated[list[Path], typer.Argument(help="One run folder, or several to compare them.", show_default=False)],
    out: Annotated[
        Path | None, typer.Option(help="The page to write. Default: report.html in the first folder.")
    ] = None,
) -> None:
    """Draw an HTML page of one run, or of several side by side. It opens offline."""
    from inscl import write_report

    typer.echo(f"report: {write_report(runs, out)}")
