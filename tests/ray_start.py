"""Starting Ray in a process that may have ended another cluster a moment ago."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, TypeVar

Started = TypeVar("Started")


def started(ray: Any, start: Callable[[], Started]) -> Started:
    """What `start` makes; it is called again where Ray's own state of the cluster before is still being taken down."""
    for _ in range(2):
        try:
            return start()
        except AssertionError:
            ray.shutdown()
            time.sleep(2)
    return start()
