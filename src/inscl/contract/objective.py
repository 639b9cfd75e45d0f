"""What training minimises: the protocol of objectives, and the batch that they receive."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

__all__ = ["IGNORED", "Objective", "ObjectiveBatch", "TaughtExample"]

IGNORED = -100
"""The label of a position that carries no loss."""


@dataclass(frozen=True)
class TaughtExample:
    """One example of a batch.

    Attributes:
        encoded: Its token ids; see `inscl.models.prompts.Encoded`.
        weight: What its loss counts beside 1 for a new example.
        replayed: Whether it comes from an earlier task.
        reason: Why it is replayed, as its pick says; empty for a new example.
    """

    encoded: Any
    weight: float = 1.0
    replayed: bool = False
    reason: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class ObjectiveBatch:
    """The batch that an objective receives; k of its positions carry loss or are padding next to those that do.

    Attributes:
        logits: Tensor of shape (k, vocabulary), float32.
        labels: Tensor of shape (k,): the token that each position should predict, or `IGNORED`.
        weights: Tensor of shape (k,), float32: the weight of the example that the position belongs to.
        owners: Tensor of shape (k,): the place of that example in `examples`.
        examples: The batch's examples.
        inputs: What the model was called with.
        model: The model that is being taught.
    """

    logits: Any
    labels: Any
    weights: Any
    owners: Any
    examples: Sequence[TaughtExample]
    inputs: Mapping[str, Any]
    model: Any


class Objective(Protocol):
    """A loss. It is called once per batch while gradients are recorded."""

    def __call__(self, batch: ObjectiveBatch) -> Any:
        """The batch's summed loss: a scalar tensor, nats. It is divided by the answer tokens of the whole step."""
        ...
