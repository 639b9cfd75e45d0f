"""Confirmation before something that can't be undone."""

from __future__ import annotations

import sys

import typer

from inscl.cli.terminal import plain
from inscl.errors import UserError

__all__ = ["confirmed"]


def confirmed(yes: bool, question: str) -> None:
    """Return if the user agrees; with --yes, skip the prompt.

    Raises:
        UserError: There is no terminal to ask on, and no --yes.
        typer.Exit: The user doesn't agree; exit code 1.
    """
    if yes:
        return
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UserError("this can't be undone, and there is no terminal for the prompt: add --yes")
    if not typer.confirm(plain(question), default=False, err=True):
        raise typer.Exit(1)
