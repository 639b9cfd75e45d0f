"""``log.txt``: the history of a workspace for people to read. One line per event, and no text of any example.

A line ends with two spaces and, in brackets, the first eight digits of its own SHA-256, which reveals damage.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from inscl.contract.encodable import encodable
from inscl.errors import WorkspaceError
from inscl.storage.files.provenance import now

__all__ = ["LOG", "log_problem", "note"]

LOG = "log.txt"
_SEAL = len("  [01234567]")


def note(folder: Path, line: str) -> None:
    """Append one line with the date to the workspace's log.

    Raises:
        WorkspaceError: It can't be written.
    """
    text = encodable(f"{now()} {' '.join(line.split())}").encode()
    path = folder / LOG
    try:
        # A power failure may have cut off the last line: it is sealed as it is, and the new line stands by itself.
        torn = path.read_bytes().rpartition(b"\n")[2] if path.exists() else b""
        # Appended in one piece, so that two processes never mix their lines.
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            end = _seal(torn) + b"\n" if torn else b""
            os.write(descriptor, end + text + _seal(text) + b"\n")
        finally:
            os.close(descriptor)
    except OSError as error:
        raise WorkspaceError(f"can't write {path}: {error.strerror or error}") from error


def log_problem(folder: Path) -> str:
    """What is wrong with the log; nothing if every line is as it was written, or there is no log.

    Lines cut off at the end are missed only if whole lines are.
    """
    path = folder / LOG
    if not path.exists():
        return ""
    *lines, rest = path.read_bytes().split(b"\n")
    if rest:
        return f"ends amid line {len(lines) + 1}"
    for number, line in enumerate(lines, start=1):
        text, seal = line[:-_SEAL], line[-_SEAL:]
        if seal != _seal(text):
            return f"isn't as it was written in line {number}"
    return ""


def _seal(text: bytes) -> bytes:
    return f"  [{hashlib.sha256(text).hexdigest()[:8]}]".encode()
