"""``inscl prune``."""

from __future__ import annotations

from pathlib import Path

import typer

from inscl.cli.workspace_options import InWorkspace, Json, Yes

__all__ = ["prune"]


def prune(workspace: InWorkspace = Path(), yes: Yes = False, as_json: Json = False) -> None:
    """Delete the stages that were rolled back, with their weights, records and examples. This can't be undone."""
    from inscl.cli.confirmation import confirmed
    from inscl.cli.terminal import plain, print_json
    from inscl.cli.workspace_tables import amount
    from inscl.workspace import Workspace

    opened = Workspace.open(workspace)
    waiting = opened.status().discarded
    if waiting:
        confirmed(yes, f"delete permanently: {', '.join(waiting)}?")
    done = opened.prune()
    if as_json:
        print_json(done.to_json())
    else:
        typer.echo(plain(f"deleted: {', '.join(done.tasks) or 'nothing'}; {amount(done.bytes)} freed"))
