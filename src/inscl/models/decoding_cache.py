"""The keys and values of rows that are decoded together, with room to grow.

transformers' own cache is copied whole for every token. Here a token's keys and values are written into room that is
already there, and rows whose beginnings were read apart are put together.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

__all__ = ["joined", "joins"]

_ROOM = 32
"""Tokens of room that are added where there is none left."""


def joins(model: Any) -> bool:
    """Whether every layer of `model` keeps the keys and values of all tokens, so that rows can be put together."""
    from transformers import DynamicCache
    from transformers.cache_utils import DynamicLayer

    layers = DynamicCache(config=model.config).layers
    return bool(layers) and all(type(layer) is DynamicLayer for layer in layers)


def joined(caches: Sequence[Any]) -> Any:
    """One cache of the rows of several, shorter ones padded on the left with zeros, which the mask has to hide.

    Args:
        caches: Caches of one model for which `joins` holds; of tensors of shape (rows, heads, tokens, head size).

    Returns:
        A cache of transformers with the rows in the order of `caches`.
    """
    from transformers import DynamicCache

    whole = DynamicCache()
    whole.layers = [_growing()(layers) for layers in zip(*(one.layers for one in caches), strict=True)]
    return whole


@cache
def _growing() -> Any:
    """The class of a layer that grows in place; made at the first use, since transformers is imported lazily."""
    from transformers.cache_utils import DynamicLayer

    class GrowingLayer(DynamicLayer):  # type: ignore[misc, unused-ignore] # transformers is untyped where it is absent
        """A layer whose tensors are the filled part of larger ones."""

        def __init__(self, layers: Sequence[Any]) -> None:
            super().__init__()
            self.lazy_initialization(layers[0].keys, layers[0].values)
            longest = max(layer.keys.shape[-2] for layer in layers)
            self._room = [
                _side_by_side([getattr(layer, name) for layer in layers], longest) for name in ("keys", "values")
            ]
            self._fill(longest)

        def update(self, key_states: Any, value_states: Any, *args: Any, **kwargs: Any) -> tuple[Any, Any]:
            start = self.keys.shape[-2]
            end = start + key_states.shape[-2]
            if end > self._room[0].shape[-2]:
                self._room = [_longer(tensor, start, end + _ROOM) for tensor in self._room]
            for tensor, new in zip(self._room, (key_states, value_states), strict=True):
                tensor[:, :, start:end] = new
            self._fill(end)
            return self.keys, self.values

        def batch_select_indices(self, indices: Any) -> None:
            length = self.keys.shape[-2]
            self._room = [tensor[indices] for tensor in self._room]
            self._fill(length)

        def _fill(self, length: int) -> None:
            self.keys, self.values = (tensor[:, :, :length] for tensor in self._room)

    return GrowingLayer


def _side_by_side(tensors: Sequence[Any], longest: int) -> Any:
    rows = sum(len(tensor) for tensor in tensors)
    _, heads, _, size = tensors[0].shape
    whole, start = tensors[0].new_zeros(rows, heads, longest + _ROOM, size), 0
    for tensor in tensors:
        whole[start : start + len(tensor), :, longest - tensor.shape[-2] : longest] = tensor
        start += len(tensor)
    return whole


def _longer(tensor: Any, filled: int, length: int) -> Any:
    rows, heads, _, size = tensor.shape
    longer = tensor.new_zeros(rows, heads, length, size)
    longer[:, :, :filled] = tensor[:, :, :filled]
    return longer
