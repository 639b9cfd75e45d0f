"""Settings of in-context learning, checked and made into parts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from inscl.embedding.cached import embedder_of
from inscl.errors import ConfigError, Problem
from inscl.learners.demonstrations.choosing import FIT
from inscl.learners.settings import problems_of

__all__ = ["check", "embedder_of"]


def check(choices: Mapping[str, Any], k: Any, sizes: Mapping[str, Any], urial: Any) -> None:
    """Refuse settings that can't be, all at once.

    Args:
        choices: Setting -> its value and what it may be.
        k: How many demonstrations.
        sizes: Settings that are whole numbers of 1 or more.
        urial: Whether URIAL's beginning stands in the prompt.

    Raises:
        ConfigError: Some can't be.
    """
    places = {"prompt": "model", "precision": "model", "max_length": "training"}
    problems = problems_of(
        {f"{places.get(key, 'training.params')}.{key}": choice for key, choice in choices.items()},
        {f"{places.get(key, 'training.params')}.{key}": (value, 1) for key, value in sizes.items()},
    )
    if k != FIT and (not isinstance(k, int) or isinstance(k, bool) or k < 0):
        problems.append(
            Problem("training.params.k", f"a whole number of 0 or more, or {FIT!r}, was expected, got {k!r}")
        )
    if not isinstance(urial, bool):
        problems.append(Problem("training.params.urial", f"true or false was expected, got {urial!r}"))
    if problems:
        raise ConfigError(problems)
