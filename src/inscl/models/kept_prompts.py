"""Prompts that a model has read, kept while it doesn't change: answers to them are scored without reading them again.

An evaluation asks for an answer to a prompt, then how likely its reference is, then which option the model chooses.
What the prompt leaves in each layer, its keys and values, is the same for all three.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import numpy as np

from inscl.models.held_states import HeldText
from inscl.models.packed_attention import packed_attention
from inscl.models.shared_packing import SharedRow, alphabetical
from inscl.models.threads import hooked, in_parallel

__all__ = ["MOST_BYTES", "KeptPrompts", "RowAfter", "after_kept"]

Found = TypeVar("Found")

MOST_BYTES = 1 << 30
"""Of keys and values that are kept at a time: 1 GiB holds 47,000 tokens of SmolLM2-135M in bfloat16."""


class KeptPrompts:
    """Prompts with their keys and values, until there is no room for more.

    Those that came first stay: each is wanted again as often as any other, and in the same order, in which dropping the
    oldest would drop just what is wanted next.

    Args:
        most: Bytes.

    Attributes:
        bytes: How many are taken.
    """

    def __init__(self, most: int = MOST_BYTES) -> None:
        self.most, self.bytes = most, 0
        self._kept: dict[tuple[int, ...], HeldText] = {}

    def keep(self, text: HeldText) -> None:
        """Keep what a text was given at first, without what was said after it."""
        prompt = tuple(text.tokens[: text.given])
        # The last token is read again by whoever goes on, since it predicts what follows; it may be all there is.
        size = text.size_of(text.given - 1)
        if prompt in self._kept or not size or self.bytes + size > self.most:
            return
        self._kept[prompt] = text.beginning(text.given - 1)
        self.bytes += size

    def of(self, prompt: Sequence[int]) -> HeldText | None:
        """All tokens of a prompt but its last one, if they are kept."""
        return self._kept.get(tuple(prompt))


@dataclass(frozen=True)
class _PieceAfter:
    """Tokens of a row that go on after a kept prompt; see `inscl.models.packed_attention.Piece`.

    Attributes:
        start: Their first place in the row.
        end: The place after their last.
        held: The prompt.
        path: Places of the row with all that comes after the prompt, these tokens last.
    """

    start: int
    end: int
    held: HeldText
    path: Any

    def text(self, key: Any, value: Any, layer: int) -> tuple[Any, Any]:
        """Those of the prompt, and behind them those of the row."""
        import torch

        before = self.held.read_states(layer)
        keys, values = (
            torch.cat([held, new.index_select(2, self.path)], dim=2)
            for held, new in zip(before, (key, value), strict=True)
        )
        return keys, values


@dataclass(frozen=True)
class RowAfter:
    """Texts in one row, each without what is kept of it and without what it shares with others after the same prompt.

    Attributes:
        tokens: The row.
        positions: Where each of them stands in its texts.
        paths: For each text the places of all its tokens that aren't kept.
        pieces: What attention takes one after the other.
    """

    tokens: list[int]
    positions: list[int]
    paths: list[list[int]]
    pieces: list[_PieceAfter]

    @classmethod
    def of(cls, kept: Sequence[HeldText], rests: Sequence[Sequence[int]]) -> RowAfter:
        """The row of texts, given what is kept of each and the tokens after that."""
        import torch

        row = cls([], [], [[] for _ in rests], [])
        for places in _by_prompt(kept):
            held, start = kept[places[0]], len(row.tokens)
            own = SharedRow.of([rests[place] for place in places])
            row.tokens.extend(own.tokens)
            row.positions.extend(held.read + position for position in own.positions)
            for place, path in zip(places, own.paths, strict=True):
                row.paths[place] += [start + at for at in path]
            row.pieces.extend(
                _PieceAfter(start + first, start + end, held, start + torch.tensor(path))
                for first, end, path in own.pieces
            )
        return row

    def inputs(self) -> dict[str, Any]:
        """What a model takes, within `packed_attention`."""
        import torch

        return {
            "input_ids": torch.tensor([self.tokens]),
            "position_ids": torch.tensor([self.positions]),
            "packed_pieces": self.pieces,
        }


def after_kept(
    model: Any,
    kept: Sequence[HeldText],
    rests: Sequence[Sequence[int]],
    read: Callable[[list[int], RowAfter], Found],
) -> list[tuple[list[int], Found]]:
    """Read what comes after kept prompts in as many rows as there are threads, at once.

    Args:
        model: The one that read the prompts, and that `inscl.models.packed_reading.reads_packed`; unchanged since.
        kept: What is kept of each text, at least one.
        rests: The tokens of each after that, none empty.
        read: Given places in `rests` and their row, reads it; called on several threads, for each row once.

    Returns:
        Places and what was read there, row after row.
    """
    import torch

    order = [places[k] for places in _by_prompt(kept) for k in alphabetical([rests[place] for place in places])]
    # What a hook keeps between two calls would be mixed up among threads.
    most = 1 if hooked(model) else torch.get_num_threads()
    parts = [[int(place) for place in part] for part in np.array_split(order, min(most, len(order)))]
    rows = [RowAfter.of([kept[place] for place in part], [rests[place] for place in part]) for part in parts]
    with packed_attention(model):
        found = in_parallel([partial(read, part, row) for part, row in zip(parts, rows, strict=True)])
    return list(zip(parts, found, strict=True))


def _by_prompt(kept: Sequence[HeldText]) -> list[list[int]]:
    """Places of the texts that go on after the same prompt, prompt by prompt."""
    places: dict[int, list[int]] = {}
    for place, held in enumerate(kept):
        places.setdefault(id(held), []).append(place)
    return list(places.values())
