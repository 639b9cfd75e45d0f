"""Addresses of object storage, which look like paths and are none."""

from __future__ import annotations

import re
from pathlib import Path

from inscl.errors import ConfigError

__all__ = ["refuse_remote"]

# Two letters or more before the colon: one letter is a drive. A path has lost one of the two slashes.
_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/+")


def refuse_remote(path: str | Path, remedy: str = "work in a local or shared folder, and copy it there") -> None:
    """See that a path isn't an address such as ``s3://bucket/folder``: it would become a local folder named ``s3:``.

    Records count through renaming and locks. Object storage has neither.

    Args:
        path: What was given for a file or a folder.
        remedy: What to do instead.

    Raises:
        ConfigError: It is an address.
    """
    if found := _ADDRESS.match(str(path)):
        address = f"{found[1]}://{str(path)[found.end() :]}"
        raise ConfigError(
            f"it is an address and no folder; what is needed is a file system with renaming and locks: {remedy} "
            "(docs/scale.md, object storage)",
            address,
        )
