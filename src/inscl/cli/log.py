"""``inscl log``."""

from __future__ import annotations

from pathlib import Path

from inscl.cli.workspace_options import InWorkspace, Json

__all__ = ["log"]


def log(workspace: InWorkspace = Path(), as_json: Json = False) -> None:
    """Show the history of a workspace, oldest first: what was learned, how, at what cost, and what was undone."""
    from inscl.cli.terminal import print_json
    from inscl.cli.workspace_tables import print_events
    from inscl.workspace import Workspace

    events = Workspace.open(workspace).log()
    if as_json:
        print_json([event.model_dump() for event in events])
    else:
        print_events(events)
