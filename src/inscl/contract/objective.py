"""What training minimises: the protocol of objectives, and the batch that they receive."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

from inscl.errors import ModelError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from inscl.contract.example import Example

__all__ = ["IGNORED", "Objective", "ObjectiveBatch", "Preparing", "SoftTargets", "State", "States", "TaughtExample"]

State = Literal["now", "before", "base"]
"""The model as it is now, as it was before the stage, or as it came before anything was learned."""

IGNORED = -100
"""The label of a position that carries no loss."""


@dataclass(frozen=True, eq=False)
class SoftTargets:
    """What a model held likely at each of the t tokens of an answer.

    Attributes:
        tokens: The k likeliest tokens at each position, likeliest first, shape (t, k).
        log_probabilities: Theirs among the whole vocabulary, nats, shape (t, k).
    """

    tokens: NDArray[np.int32]
    log_probabilities: NDArray[np.float32]


@dataclass(frozen=True)
class TaughtExample:
    """One example of a batch.

    Attributes:
        encoded: Its token ids; see `inscl.models.prompts.Encoded`.
        weight: What its loss counts beside 1 for a new example.
        replayed: Whether it comes from an earlier task.
        reason: Why it is replayed, as its pick says; empty for a new example.
        example: Its texts; None where only token ids are known.
        task: Name of the earlier task that a replayed example comes from; empty for a new one.
        soft: What the model held likely when the task of a replayed example had been learned, for an objective whose
            trait `soft_targets` asks for it; None where that wasn't kept. Its positions are those of the last answer.
    """

    encoded: Any
    weight: float = 1.0
    replayed: bool = False
    reason: Mapping[str, Any] = field(default_factory=dict)
    example: Example | None = None
    task: str = ""
    soft: SoftTargets | None = None


class States(Protocol):
    """Reads examples under a state of the model; a learner provides it, and `ObjectiveBatch.logits_of` calls it."""

    def logits(self, examples: Sequence[TaughtExample | Example], state: State, gradients: bool) -> Any:
        """See `ObjectiveBatch.logits_of`."""
        ...


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
        states: What reads examples once more; use `logits_of`.
    """

    logits: Any
    labels: Any
    weights: Any
    owners: Any
    examples: Sequence[TaughtExample]
    inputs: Mapping[str, Any]
    model: Any
    states: States | None = None

    def logits_of(
        self,
        examples: Sequence[TaughtExample | Example] | None = None,
        *,
        state: State = "now",
        gradients: bool = False,
    ) -> Any:
        """What the model gives for examples when they are read once more: other texts, or another state of the model.

        Args:
            examples: Examples of this batch, or others, which are encoded as the learner encodes its own; None means
                all of this batch.
            state: ``now``; ``before``, the model before this stage; or ``base``, the model before it learned anything.
                The objective's trait `reads` must name it.
            gradients: Whether gradients are recorded, with dropout as in training; only for ``now``. Without them the
                model reads as it answers: without dropout.

        Returns:
            Tensor of shape (m, vocabulary), float32: one row for each token that carries loss, example after example.
            For all of this batch they stand beside ``batch.logits[batch.labels != IGNORED]``.

        Raises:
            ModelError: The trait `reads` doesn't name this state, or who made this batch can't read again.
        """
        if self.states is None:
            raise ModelError("this batch can't be read again: the learner offers no other states of its model")
        return self.states.logits(self.examples if examples is None else examples, state, gradients)


class Objective(Protocol):
    """A loss. It is called once per batch while gradients are recorded.

    It must depend on its batch alone. `inscl.contract.traits.ObjectiveTraits` declare what else it needs.
    """

    def __call__(self, batch: ObjectiveBatch) -> Any:
        """The batch's summed loss: a scalar tensor, nats. It is divided by the answer tokens of the whole step."""
        ...


class Preparing(Objective, Protocol):
    """An objective that looks at all examples of a stage before the stage is trained (trait `prepares`)."""

    def prepare(self, examples: Sequence[TaughtExample]) -> None:
        """Called once before each stage, also when an interrupted stage is resumed, with the same examples.

        Args:
            examples: Everything that the stage teaches, new and replayed.
        """
        ...
