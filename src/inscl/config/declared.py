"""The entry points that installed packages declare, read once for as long as nothing is installed or removed."""

from __future__ import annotations

import os
import sys
from functools import lru_cache
from importlib import metadata
from importlib.metadata import EntryPoint

__all__ = ["entry_points"]


def entry_points(group: str) -> tuple[EntryPoint, ...]:
    """The entry points of a group.

    importlib.metadata reads the files of every installed package at each call, and checking one configuration takes
    dozens of calls. Here they are read again only once a folder of `sys.path` has changed, as it does when a package is
    installed into it or removed.
    """
    return _declared(tuple((place, _changed(place)) for place in sys.path)).get(group, ())


@lru_cache(maxsize=1)
def _declared(places: tuple[tuple[str, int | None], ...]) -> dict[str, tuple[EntryPoint, ...]]:
    """Every group of ours; `places` are what it was read from."""
    found = metadata.entry_points()
    groups = sorted(group for group in found.groups if group.startswith("inscl."))
    return {group: tuple(found.select(group=group)) for group in groups}


def _changed(place: str) -> int | None:
    """When a folder last changed, in nanoseconds; None where there is none."""
    try:
        return os.stat(place or os.curdir).st_mtime_ns  # noqa: PTH116 - called often
    except OSError:
        return None
