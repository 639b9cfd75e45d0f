"""``log.txt``: what a person can read later about a workspace. One line an event, and no text of any example."""

from __future__ import annotations

import os
from pathlib import Path

from inscl.errors import WorkspaceError
from inscl.workspace.provenance import now

__all__ = ["LOG", "note"]

LOG = "log.txt"


def note(folder: Path, line: str) -> None:
    """Append one line with the date to the workspace's log.

    Raises:
        WorkspaceError: It can't be written.
    """
    text = f"{now()} {' '.join(line.split())}\n"
    try:
        # Appended in one piece, so that two processes never mix their lines.
        descriptor = os.open(folder / LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            os.write(descriptor, text.encode("utf-8", errors="backslashreplace"))
        finally:
            os.close(descriptor)
    except OSError as error:
        raise WorkspaceError(f"can't write {folder / LOG}: {error.strerror or error}") from error
