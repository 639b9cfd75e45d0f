"""Learners that wrap another, which stands among their parameters under ``learner``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from inscl.config import kinds
from inscl.contract.traits import LearnerTraits, traits_of
from inscl.errors import ConfigError, InsclError, Problem

__all__ = ["name_and_params", "unwrapped", "wraps"]


def name_and_params(chosen: str | Mapping[str, Any], key: str = "learner") -> tuple[str, dict[str, Any]]:
    """Name and parameters of a component that stands among the parameters of a learner.

    Args:
        chosen: Its name, or ``{"name": ..., "params": {...}}``.
        key: Where it stands, for messages.

    Raises:
        ConfigError: It is neither.
    """
    written = {"name": chosen} if isinstance(chosen, str) else chosen
    name, params = (written.get("name"), written.get("params")) if isinstance(written, Mapping) else (None, None)
    named = isinstance(name, str) and set(written) <= {"name", "params"}
    if not named or not isinstance(params, Mapping | None) or any(not isinstance(one, str) for one in params or ()):
        said = f"expected a name or {{name: ..., params: {{...}}}}, got {chosen!r}"
        raise ConfigError([Problem(key, said)])
    return str(name), dict(params or {})


def wraps(learner: str) -> bool:
    """Whether a learner of this name can be loaded, and wraps another that its parameter ``learner`` names."""
    try:
        return traits_of(kinds.load("learners", learner), LearnerTraits).wraps
    except InsclError:
        return False


def unwrapped(learner: str, params: Mapping[str, Any]) -> str:
    """The name of the learner that is taught in the end, whatever wraps it: its traits are those that hold.

    Args:
        learner: Registered name.
        params: Parameters as configured.

    Raises:
        ConfigError: The one that it wraps isn't named in the right form.
    """
    while wraps(learner):
        learner, params = name_and_params(kinds.in_full("learners", learner, params)["learner"])
    return learner
