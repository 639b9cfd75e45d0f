"""Losses of earlier examples under the model being taught, checked before anything is ranked by them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inscl.contract import Example
from inscl.errors import ConfigError, ModelError, Problem

__all__ = ["checked_losses"]


def checked_losses(
    losses: Callable[[Sequence[Example]], NDArray[Any]], task: str, examples: Sequence[Example]
) -> NDArray[np.float64]:
    """The loss of each of n examples, shape (n,), nats per answer token.

    Args:
        losses: n examples to n losses.
        task: Name of their task, for messages.
        examples: Whose losses are wanted.

    Raises:
        ConfigError: `losses` returned another number of values than examples.
        ModelError: A loss is not a finite number.
    """
    found = np.asarray(losses(examples), dtype=np.float64)
    if found.shape != (len(examples),):
        raise ConfigError([Problem("losses", f"must return shape ({len(examples)},), got {found.shape}")])
    if not np.isfinite(found).all():
        raise ModelError(f"a loss on task {task!r} is not a finite number: the model has diverged; train it anew")
    return found
