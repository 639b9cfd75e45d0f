"""Reading examples once more while a model is trained: as it is, as it was before the stage, or as it came."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

from inscl.contract import Example
from inscl.contract.objective import IGNORED, State, TaughtExample
from inscl.errors import ModelError
from inscl.models.batches import pad, understood
from inscl.models.language_model import LanguageModel
from inscl.models.lower_states import above_frozen
from inscl.models.modes import evaluating
from inscl.models.prompts import Encoded
from inscl.models.trainable_model import TrainableModel

__all__ = ["OtherStates"]


class OtherStates:
    """The states of a model that an objective may read; see `inscl.contract.objective.ObjectiveBatch.logits_of`.

    ``before`` is this model with copies of the weights that the stage trains: an adapter's, or all of them. ``base`` is
    the model as it came: its own weights with the adapter switched off, or a second copy where training changes them.
    Both change what all threads use while they read, and put it back.

    Args:
        model: What is being taught.
        encode: From an example to token ids, as the learner encodes what it teaches.
        reads: The states that the objective declares.

    Attributes:
        collate: What joins examples to a batch for the model that is being taught; padding unless training packs.
    """

    def __init__(
        self, model: TrainableModel, encode: Callable[[Example], Encoded], reads: Sequence[State] = ()
    ) -> None:
        self.model, self.encode, self.reads = model, encode, tuple(reads)
        self.collate: Callable[[Sequence[Encoded]], dict[str, Any]] | None = None
        self._before: dict[str, Any] = {}
        self._base = LanguageModel(model.name, model.precision, model.device)

    def begin_stage(self, stage: int) -> None:
        """Begin a stage (from 1) of the model, and keep what it trains as it is before."""
        # An adapter that starts over at each stage is gone once the stage begins; a new one has changed nothing yet.
        adapted = hasattr(self.model.model, "peft_config") and not self.model.adapter.merges
        if adapted:
            self._keep()
        self.model.begin_stage(stage)
        if not adapted:
            self._keep()

    def end_stage(self) -> None:
        """Drop the copies."""
        self._before, self.collate = {}, None

    def logits(self, examples: Sequence[TaughtExample | Example], state: State, gradients: bool) -> Any:
        """Logits of the tokens that carry loss, shape (m, vocabulary), float32; see `ObjectiveBatch.logits_of`.

        Raises:
            ModelError: The objective doesn't declare the state, or wants gradients of a state that is past.
        """
        if state not in self.reads:
            raise ModelError(f"the objective reads {state!r}: it must declare this in its trait `reads`")
        if gradients and state != "now":
            raise ModelError(f"there are no gradients of the state {state!r}: ask for gradients of 'now' alone")
        encoded = [one.encoded if isinstance(one, TaughtExample) else self.encode(one) for one in examples]
        reader = self._base if state == "base" else self.model
        network = reader.model
        if self.collate is None or not self._same_weights(state):
            batch = understood(network, pad(encoded, self.model.pad_token))
        else:
            batch = self.collate(encoded)
        labels = batch.pop("labels")[:, 1:].to(network.device)
        batch = {name: value.to(network.device) if hasattr(value, "to") else value for name, value in batch.items()}
        texts = [one.tokens for one in encoded]
        with reader.reading(), _mode(network, gradients), above_frozen(network, texts) as given:
            logits = self._forward(network, given(batch, texts), state)
        return logits[:, -labels.shape[1] :][labels != IGNORED].float()

    def _keep(self) -> None:
        if "before" in self.reads:
            named = self.model.model.named_parameters()
            self._before = {name: weight.detach().clone() for name, weight in named if weight.requires_grad}

    def _same_weights(self, state: State) -> bool:
        """Whether a state is read from the weights in training, whose attention may be that of packed batches."""
        return state != "base" or self._base.model is self.model.model

    def _forward(self, network: Any, batch: Mapping[str, Any], state: State) -> Any:
        from torch.func import functional_call

        if state == "before":
            return functional_call(network, self._before, (), dict(batch)).logits
        return network(**batch).logits


@contextmanager
def _mode(network: Any, gradients: bool) -> Iterator[None]:
    """Without gradients: evaluation mode, so that there is no dropout and no chance is drawn; then as before."""
    import torch

    with torch.set_grad_enabled(gradients), nullcontext() if gradients else evaluating(network):
        yield
