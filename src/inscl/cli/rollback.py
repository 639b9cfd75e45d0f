"""``inscl rollback``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from inscl.cli.workspace_options import InWorkspace, Json

__all__ = ["rollback"]


def rollback(
    stage: Annotated[int, typer.Argument(help="The stage to go back to; 0 means nothing learned.")],
    workspace: InWorkspace = Path(),
    as_json: Json = False,
) -> None:
    """Go back to a stage: model, memory and scores together. Nothing is deleted until `inscl prune`."""
    from inscl.cli.terminal import plain, print_json
    from inscl.workspace import Workspace

    done = Workspace.open(workspace).rollback(stage)
    if as_json:
        print_json(done.to_json())
    elif done.discarded:
        where = f" in {done.folder}, until `inscl prune`" if done.folder else ""
        typer.echo(plain(f"back at stage {done.stage}; set aside: {', '.join(done.discarded)}{where}"))
    else:
        typer.echo(f"stage {done.stage} is already the last")
