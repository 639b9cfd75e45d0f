"""``inscl demo``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["demo"]


def demo(
    out: Annotated[Path, typer.Option(help="Folder for both runs and the report.")] = Path("demo"),
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change a setting, such as training.epochs=3."),
    ] = None,
) -> None:
    """Learn five small office tasks with No Replay and with InsCL, and compare what each retains."""
    from inscl.cli.progress import display
    from inscl.cli.run import Interrupted
    from inscl.cli.tables import print_comparison
    from inscl.demonstration import run_demo

    try:
        with display() as progress:
            runs, page = run_demo(out, overrides=changes or [], progress=progress)
    except KeyboardInterrupt:
        raise Interrupted(str(out)) from None
    print_comparison(runs)
    typer.echo(f"report: {page}")
