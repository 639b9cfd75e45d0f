"""``inscl diff``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from inscl.cli.workspace_options import InWorkspace, Json

__all__ = ["diff"]


def diff(
    first: Annotated[
        int, typer.Argument(metavar="A", help="The first stage; 0 is the base model.", show_default=False)
    ],
    second: Annotated[int | None, typer.Argument(metavar="B", help="The second stage. Default: the last.")] = None,
    metric: Annotated[str | None, typer.Option(help="The score to compare. Default: the leading one.")] = None,
    most: Annotated[int, typer.Option(help="Number of changed answers to show.")] = 10,
    workspace: InWorkspace = Path(),
    as_json: Json = False,
) -> None:
    """Compare the scores of two stages, and list the answers that changed, worst first."""
    from inscl.cli.terminal import print_json
    from inscl.cli.workspace_tables import print_difference
    from inscl.workspace import Workspace

    found = Workspace.open(workspace).diff(first, second, metric=metric)
    if as_json:
        print_json(found.to_json())
    else:
        print_difference(found, most)
