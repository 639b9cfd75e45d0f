"""Reading a network in evaluation mode for a while, whatever mode each of its parts is in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["evaluating"]


@contextmanager
def evaluating(network: Any) -> Iterator[None]:
    """Evaluation mode, so that there is no dropout and no chance is drawn; then each module's own mode as before.

    `torch.nn.Module.train` sets all parts alike, and would wake those that were kept in evaluation mode.
    """
    before = [(module, module.training) for module in network.modules()]
    network.eval()
    try:
        yield
    finally:
        for module, training in before:
            module.training = training
