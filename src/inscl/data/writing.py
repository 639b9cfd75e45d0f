"""Writing a data file so that it is there whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from inscl.data.places import refuse_remote
from inscl.errors import WorkspaceError

__all__ = ["write_bytes"]


def write_bytes(path: Path, content: bytes) -> None:
    """Write `content` to `path`: temporary file in the same folder, fsync, rename. Folders are made.

    Raises:
        WorkspaceError: The folder can't be written, or the disk is full; what stood at `path` is untouched.
    """
    refuse_remote(path)
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".part")
        temporary = Path(name)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        # mkstemp makes files that only their owner may read; data is as open as the folder it is in.
        temporary.chmod(0o644)
        temporary.replace(path)
        temporary = None
    except OSError as error:
        raise WorkspaceError(f"can't write {path}: {error.strerror or error}") from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
