"""``inscl erase``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from inscl.cli.workspace_options import InWorkspace, Json, Yes

__all__ = ["erase"]


def erase(
    task: Annotated[str | None, typer.Argument(help="The task whose examples to erase.", show_default=False)] = None,
    match: Annotated[
        str | None,
        typer.Option(metavar="REGEX", help="Erase every example that contains a match.", show_default=False),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be erased; change nothing.")] = False,
    workspace: InWorkspace = Path(),
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Erase examples from every file and cache; scores and counts stay. Lists the models trained on them."""
    from inscl.cli.confirmation import confirmed
    from inscl.cli.terminal import print_json
    from inscl.cli.workspace_tables import print_erasure
    from inscl.workspace import Workspace

    opened = Workspace.open(workspace)
    found = opened.erase(task, match=match, dry_run=True)
    if not dry_run:
        if not yes and not as_json:
            print_erasure(found)
        confirmed(yes, "erase this permanently?")
        found = opened.erase(task, match=match)
    if as_json:
        print_json(found.to_json())
    else:
        print_erasure(found)
