"""Addresses of object storage, which look like paths and are none."""

from __future__ import annotations

import re
from pathlib import Path

from inscl.errors import ConfigError

__all__ = ["address_of", "refuse_remote", "shown"]

# Two letters or more before the colon: one letter is a drive. A path has lost one of the two slashes.
_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/+")


def address_of(path: str | Path) -> str | None:
    """The address that was given for a path, as in ``s3://bucket/folder``; None for a path."""
    found = _ADDRESS.match(str(path))
    return f"{found[1]}://{str(path)[found.end() :].rstrip('/')}" if found else None


def shown(path: str | Path) -> str:
    """A path, or the address that was given for it, as the user wrote it."""
    return address_of(path) or str(path)


def refuse_remote(path: str | Path, remedy: str = "work in a local or shared folder, and copy it there") -> None:
    """See that a path isn't an address such as ``s3://bucket/folder``: it would become a local folder named ``s3:``.

    Runs, workspaces and grids may be at an address (`inscl.storage.objects`); data and single files may not.

    Args:
        path: What was given for a file or a folder.
        remedy: What to do instead.

    Raises:
        ConfigError: It is an address.
    """
    if (address := address_of(path)) is not None:
        raise ConfigError(
            f"it is an address and no folder; what is needed is a file system with renaming and locks: {remedy} "
            "(docs/scale.md, object storage)",
            address,
        )
