"""Options shared by all workspace commands."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["InWorkspace", "Json", "Yes"]

InWorkspace = Annotated[
    Path, typer.Option("--workspace", "-w", metavar="DIR", help="The workspace. Default: the current folder.")
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON on standard output, for programs.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Skip the confirmation prompt.")]
