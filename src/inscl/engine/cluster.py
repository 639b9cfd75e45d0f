"""A connection to a Ray cluster, for what runs on one."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from inscl.errors import ConfigError, EndpointError, MissingExtraError, Problem

__all__ = ["address_of", "connected"]


def address_of(place: str) -> str | None:
    """The address that the value of an option ``--on`` names; None for ``ray``, which looks for a cluster.

    Raises:
        ConfigError: It names neither Ray nor an address of Ray.
    """
    if place == "ray":
        return None
    if place.startswith("ray://") and len(place) > len("ray://"):
        return place
    raise ConfigError([Problem("--on", f"expected local, ray or ray://HOST:10001, got {place!r}")], "command line")


@contextmanager
def connected(address: str | None, feature: str) -> Iterator[Any]:
    """The package Ray, connected to a cluster; a connection that was there before stays.

    Args:
        address: ``ray://HOST:10001``, the server for Ray's clients; None: the cluster that this machine is a part of
            (or that the variable ``RAY_ADDRESS`` names), else one of this machine alone, which ends with the block.
        feature: What needs it, for messages.

    Raises:
        MissingExtraError: Ray isn't installed.
        EndpointError: There is no cluster at the address.
    """
    try:
        import ray
    except ImportError:
        raise MissingExtraError(feature, "ray", "ray") from None
    if ray.is_initialized():
        yield ray
        return
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # a cluster that starts here reports to nobody
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, RuntimeError, TimeoutError) as error:
        where = address or os.environ.get("RAY_ADDRESS", "this machine")
        raise EndpointError(
            f"no Ray cluster answers at {where}: {error}. See that it runs (ray status), and that this machine has its "
            "token if it asks for one (RAY_AUTH_MODE=token)"
        ) from error
    try:
        yield ray
    finally:
        ray.shutdown()
