"""The keys and values of one text, which passes through a model add to.

Each text has room of its own, so nothing is padded, and texts may begin and end at any pass. What a text begins with
like another one that is held is copied from there, not read again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from inscl.models.shared_prefixes import common_length

__all__ = ["HeldText", "read_on"]


@dataclass
class HeldText:
    """A text as a model has read it so far.

    Attributes:
        tokens: All of them; whoever adds one has it read by the next `read_on`.
        room: The most there will be.
        given: How many of them others may begin with: those that were there at first.
        read: How many of them are read, or held by `begun`.
        begun: Another text that begins with those, until this one is read for the first time.
    """

    tokens: list[int]
    room: int
    given: int
    read: int = 0
    begun: HeldText | None = None
    _layers: dict[int, tuple[Any, Any]] = field(default_factory=dict)

    @classmethod
    def after(cls, before: HeldText | None, tokens: Sequence[int], room: int) -> HeldText:
        """A text that may begin as `before` does; its last token is its own: a model has to be asked something."""
        alike = 0 if before is None else common_length(before.tokens[: before.given], tokens)
        shared = min(alike, len(tokens) - 1)
        return cls(list(tokens), room, len(tokens), shared, before if shared else None)

    def states(self, layer: int, key: Any, value: Any) -> tuple[Any, Any]:
        """Keys and values of a layer with `key` and `value` added, all of shape (1, heads, tokens, width)."""
        held = self._layers.get(layer)
        if held is None:
            held = self._layers[layer] = tuple(
                new.new_empty(1, new.shape[1], self.room, new.shape[3]) for new in (key, value)
            )
            if self.begun is not None:
                for mine, theirs in zip(held, self.begun._layers[layer], strict=True):
                    mine[:, :, : self.read] = theirs[:, :, : self.read]
        end = self.read + key.shape[2]
        for mine, new in zip(held, (key, value), strict=True):
            mine[:, :, self.read : end] = new
        return held[0][:, :, :end], held[1][:, :, :end]

    def read_states(self, layer: int) -> tuple[Any, Any]:
        """Keys and values of a layer for all that is read."""
        keys, values = self._layers[layer]
        return keys[:, :, : self.read], values[:, :, : self.read]

    def size_of(self, tokens: int) -> int:
        """Bytes of the keys and values of so many tokens."""
        held = [one for layer in self._layers.values() for one in layer]
        return sum(tokens * one.shape[1] * one.shape[3] * one.element_size() for one in held)

    def beginning(self, tokens: int) -> HeldText:
        """A copy of the first so many tokens, which must be read, in no more room than they take."""
        layers = {
            layer: (keys[:, :, :tokens].clone(), values[:, :, :tokens].clone())
            for layer, (keys, values) in self._layers.items()
        }
        return HeldText(self.tokens[:tokens], tokens, tokens, tokens, None, layers)


@dataclass(frozen=True)
class _HeldPiece:
    """The tokens of a text that a pass reads; see `inscl.models.packed_attention.Piece`."""

    start: int
    end: int
    held: HeldText

    def text(self, key: Any, value: Any, layer: int) -> tuple[Any, Any]:
        """Those of the text, with the row's own of these places added to them."""
        return self.held.states(layer, key[:, :, self.start : self.end], value[:, :, self.start : self.end])


def read_on(model: Any, texts: Sequence[HeldText]) -> Any:
    """Read what isn't read yet of each text in one pass, one row without padding.

    Args:
        model: One that `inscl.models.packed_reading.reads_packed`, within `packed_attention`, without gradients.
        texts: Each with a token to be read; what another one has `begun` with stands before it.

    Returns:
        The logits after each text, shape (n, vocabulary).
    """
    import torch

    tokens: list[int] = []
    positions: list[int] = []
    pieces = []
    for text in texts:
        start = len(tokens)
        tokens += text.tokens[text.read :]
        positions += range(text.read, len(text.tokens))
        pieces.append(_HeldPiece(start, len(tokens), text))
    logits = model(
        input_ids=torch.tensor([tokens]),
        position_ids=torch.tensor([positions]),
        packed_pieces=pieces,
        logits_to_keep=torch.tensor([piece.end - 1 for piece in pieces]),
        use_cache=False,
    ).logits[0]
    for text in texts:
        text.read, text.begun = len(text.tokens), None
    return logits
