"""``inscl run``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from inscl.data.places import shown
from inscl.errors import InsclError

__all__ = ["Interrupted", "run"]


def run(
    config: Annotated[Path, typer.Argument(help="The configuration, a YAML file.", show_default=False)],
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change a setting, such as training.epochs=3."),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="The run folder. Default: the configuration's output_dir.")] = None,
    experts: Annotated[bool, typer.Option("--experts", help="Also train each task alone, for Relative Gain.")] = False,
    base: Annotated[bool, typer.Option("--base", help="Also score the base model: row 0.")] = False,
) -> None:
    """Teach a model a stream of tasks and show what it retains. The same command resumes after an interruption."""
    from inscl import load_config, write_report
    from inscl.cli.progress import display
    from inscl.cli.tables import print_run
    from inscl.pipeline import run as learn

    overrides = list(changes or [])
    overrides += [f"output_dir={_quoted(out)}"] if out else []
    overrides += ["evaluation.experts=true"] if experts else []
    overrides += ["evaluation.base=true"] if base else []
    settings = load_config(config, overrides)
    try:
        with display() as progress:
            finished = learn(settings, progress=progress)
    except KeyboardInterrupt:
        raise Interrupted(settings.output_dir) from None
    print_run(finished)
    typer.echo(f"report: {write_report([finished.path])}")


class Interrupted(InsclError):
    """Ctrl-C in a command that learns runs: finished work is kept."""

    exit_code = 130

    def __init__(self, folder: str) -> None:
        super().__init__(
            f"stopped. Every finished stage is kept in {shown(folder)}: give the same command again to resume."
        )


def _quoted(path: Path) -> str:
    import json

    return json.dumps(str(path))
