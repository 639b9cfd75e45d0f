"""``inscl status``."""

from __future__ import annotations

from pathlib import Path

from inscl.cli.workspace_options import InWorkspace, Json

__all__ = ["status"]


def status(workspace: InWorkspace = Path(), as_json: Json = False) -> None:
    """Show the tasks learned, their current and best scores, and the disk space used."""
    from inscl.cli.terminal import print_json
    from inscl.cli.workspace_tables import print_status
    from inscl.workspace import Workspace

    found = Workspace.open(workspace).status()
    if as_json:
        print_json(found.to_json())
    else:
        print_status(found)
