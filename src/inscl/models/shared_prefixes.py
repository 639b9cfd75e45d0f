"""Prompts that begin alike, grouped so that what they share is read once.

Test rows of one task mostly share their instruction, and all prompts share what the chat template puts before it. A
causal model's keys and values of a beginning don't depend on what follows, so they are computed once for a group and
repeated for its rows.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from inscl.models.batches import attends_to_all, understood
from inscl.models.picture_tokens import places_pictures

__all__ = ["Prefix", "PromptGroup", "common_length", "group_by_prefix", "groups_for"]

_LEAST = 192
"""Tokens that a group must save: it takes two passes of its own, which for a few tokens is mostly reading weights."""


@dataclass(frozen=True)
class PromptGroup:
    """Prompts that begin with the same tokens.

    Attributes:
        places: Which of the prompts, the longest first.
        shared: How many tokens they share; below the length of each, so that every row has a token of its own.
    """

    places: tuple[int, ...]
    shared: int

    def batches(self, size: int) -> list[tuple[int, ...]]:
        """`places` in pieces of at most `size`."""
        return [self.places[start : start + size] for start in range(0, len(self.places), size)]


def group_by_prefix(prompts: Sequence[Sequence[int]]) -> list[PromptGroup]:
    """Prompts that share a long beginning together, the others in groups that share less.

    In lexicographic order prompts with the same beginning stand side by side, as the leaves of a trie do: wherever
    neighbours share no more than all of them, a branch ends. A branch that shares enough more becomes a group; what is
    left stays with the trunk. The result depends on the prompts alone.

    Args:
        prompts: Token ids of each prompt; none empty.

    Returns:
        Every place of `prompts` in exactly one group.
    """
    order = sorted(range(len(prompts)), key=lambda place: (list(prompts[place]), place))
    shared = [common_length(prompts[one], prompts[other]) for one, other in pairwise(order)]
    trunks = [_least(shared, 0, len(order))]
    parents, rows = [0], [list[int]()]
    # A stack of branches, each with the group around it: a trie may be deeper than Python's own stack.
    waiting = [(0, len(order), 0)] if order else []
    while waiting:
        start, end, group = waiting.pop()
        trunk = _least(shared, start, end)
        if _saved(end - start, trunk - trunks[group]) >= _LEAST:
            trunks.append(trunk)
            parents.append(group)
            rows.append([])
            group = len(trunks) - 1
        for first, last in _branches(shared, start, end, trunk):
            if 1 < last - first < end - start:
                waiting.append((first, last, group))
            else:
                rows[group] += order[first:last]
    for group in reversed(range(1, len(rows))):
        if _saved(len(rows[group]), trunks[group] - trunks[parents[group]]) < _LEAST:
            rows[parents[group]] += rows[group]
            rows[group] = []
    return [_group(prompts, places, trunk) for places, trunk in zip(rows, trunks, strict=True) if places]


def groups_for(model: Any, prompts: Sequence[Sequence[int]]) -> list[PromptGroup]:
    """`group_by_prefix` where `model` allows it; otherwise one group that shares nothing.

    Shorter rows are padded between what is shared and what is their own. The padding is masked, but a sliding window
    and positions that a model counts by itself include it, and a recurrent state passes through it. Where pictures have
    positions of their own, those of a beginning depend on the pictures that follow.
    """
    if attends_to_all(model) and understood(model, {"position_ids": None}) and not places_pictures(model):
        return group_by_prefix(prompts)
    return [_group(prompts, range(len(prompts)), 0)] if prompts else []


class Prefix:
    """A beginning that prompts share, read by the model at the first use.

    Args:
        model: A causal language model of transformers, or a PEFT model around one, in evaluation mode.
        tokens: Token ids; none reads nothing.
    """

    def __init__(self, model: Any, tokens: Sequence[int]) -> None:
        self._model, self.tokens = model, list(tokens)
        self._read: Any = None

    def cache(self, rows: int) -> Any:
        """A key-value cache that holds the beginning for each of `rows` rows; the caller may add to it."""
        import torch
        from transformers import DynamicCache

        if not self.tokens:
            return DynamicCache(config=self._model.config)
        if self._read is None:
            self._read = DynamicCache(config=self._model.config)
            step = {
                "input_ids": torch.tensor([self.tokens], device=self._model.device),
                "past_key_values": self._read,
                "use_cache": True,
                "logits_to_keep": torch.tensor([len(self.tokens) - 1], device=self._model.device),
            }
            self._model(**understood(self._model, step))
        cache = copy.deepcopy(self._read)
        cache.batch_repeat_interleave(rows)
        return cache


def _group(prompts: Sequence[Sequence[int]], places: Sequence[int], trunk: int) -> PromptGroup:
    longest_first = sorted(places, key=lambda place: (-len(prompts[place]), place))
    # Each row keeps a token of its own, since the model has to be asked something.
    room = len(prompts[longest_first[-1]]) - 1
    shared = min(trunk, room)
    return PromptGroup(tuple(longest_first), shared if _saved(len(places), shared) >= _LEAST else 0)


def _saved(rows: int, tokens: int) -> int:
    """Tokens that needn't be read where `rows` prompts share `tokens` more."""
    return (rows - 1) * tokens


def _branches(shared: Sequence[int], start: int, end: int, trunk: int) -> Iterator[tuple[int, int]]:
    """The pieces of places `start` to `end` between which neighbours share no more than the `trunk`."""
    first = start
    for place in range(start, end - 1):
        if shared[place] == trunk:
            yield first, place + 1
            first = place + 1
    yield first, end


def _least(shared: Sequence[int], first: int, last: int) -> int:
    """How much all from `first` to before `last` share."""
    return min(shared[first : last - 1], default=0)


def common_length(one: Sequence[int], other: Sequence[int]) -> int:
    """How many tokens two prompts begin with alike."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((k for k, (mine, yours) in pairs if mine != yours), min(len(one), len(other)))
