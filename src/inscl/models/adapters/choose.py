"""From a configuration to an adapter."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from inscl.config import kinds
from inscl.contract.seams import Adapter
from inscl.errors import ConfigError, Problem, UnknownComponentError

__all__ = ["make_adapter"]


def make_adapter(settings: Mapping[str, Any] | None) -> Adapter:
    """The adapter of a configuration's ``model.adapter``; None trains every weight.

    Args:
        settings: ``kind``, a registered name (default ``lora``), and the adapter's own parameters.

    Raises:
        ConfigError: There is no such kind, or a parameter is unknown or can't be; all of them at once.
    """
    given = {"kind": "none"} if settings is None else dict(settings)
    kind = given.pop("kind", "lora")
    try:
        adapter: Adapter = kinds.create("adapters", kind, given)
    except UnknownComponentError as error:
        raise ConfigError([Problem("model.adapter.kind", str(error))]) from error
    except ConfigError as error:
        raise ConfigError([Problem(f"model.adapter.{p.key}", p.message) for p in error.problems]) from error
    return adapter
