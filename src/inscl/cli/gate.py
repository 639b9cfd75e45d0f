"""``inscl gate``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from inscl.cli.workspace_options import InWorkspace, Json
from inscl.errors import ConfigError, Problem

__all__ = ["gate"]


def gate(
    max_forgetting: Annotated[
        float | None,
        typer.Option(help="How many points (nats for a loss) a task may be worse than its best.", show_default=False),
    ] = None,
    min_score: Annotated[
        list[str] | None,
        typer.Option(metavar="TASK=PERCENT", help="Minimum score of a task, or of all tasks with *=60. Repeatable."),
    ] = None,
    max_score: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TASK=NATS",
            help="Maximum score of a task, or of all tasks with *=0.5, if lower is better. Repeatable.",
        ),
    ] = None,
    metric: Annotated[str | None, typer.Option(help="The score to check. Default: the leading one.")] = None,
    workspace: InWorkspace = Path(),
    as_json: Json = False,
) -> None:
    """Check whether the last stage may be deployed. Exit code 0 if so, 1 if not, 2 for a mistake in the command."""
    from inscl.cli.terminal import print_json
    from inscl.cli.workspace_tables import print_gate
    from inscl.workspace import Workspace

    found = Workspace.open(workspace).gate(
        max_forgetting=max_forgetting,
        min_score=_limits("--min-score", min_score),
        max_score=_limits("--max-score", max_score),
        metric=metric,
    )
    if as_json:
        print_json(found.to_json())
    else:
        print_gate(found)
    if not found.passed:
        raise typer.Exit(1)


def _limits(option: str, given: list[str] | None) -> dict[str, float]:
    """Task -> limit, of texts such as ``routing=60``."""
    limits = {}
    for text in given or []:
        # A task's name may hold an equals sign.
        name, _, number = text.rpartition("=")
        try:
            limits[name] = float(number)
        except ValueError:
            name = ""
        if not name:
            expected = (
                "TASK=PERCENT was expected, as in routing=60"
                if option == "--min-score"
                else ("TASK=NATS was expected, as in routing=0.5")
            )
            raise ConfigError([Problem(option, f"{expected}, got {text!r}")], "gate")
    return limits
