"""Many texts read in one pass without padding, what they share at their beginning once, divided among the threads.

Two threads that share a matrix product wait for each other many times in each layer; two that share the texts wait once
(`inscl.learners.step_loss` does the same in training). Where a model or a device doesn't allow it, texts are padded to
the same length, and `inscl.models.shared_prefixes` groups them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from inscl.models.batches import understood
from inscl.models.packed_attention import packed_attention
from inscl.models.picture_tokens import places_pictures
from inscl.models.shared_packing import alike, shares_exactly
from inscl.models.threads import hooked, in_parallel

__all__ = ["in_rows", "reads_packed"]

Found = TypeVar("Found")

_known: WeakKeyDictionary[Any, bool] = WeakKeyDictionary()
"""Whether each network in memory reads packed texts exactly; it takes three short passes to find out."""


def reads_packed(model: Any) -> bool:
    """Whether `model` reads an `inscl.models.shared_packing.SharedRow` as it reads its texts apart."""
    network = model.get_base_model() if hasattr(model, "peft_config") else model
    if network not in _known:
        if len(understood(model, {"position_ids": None, "logits_to_keep": None})) < 2 or places_pictures(model):
            _known[network] = False
        else:
            with packed_attention(model):
                _known[network] = shares_exactly(model)
    return _known[network]


def in_rows(
    model: Any, texts: Sequence[Sequence[int]], read: Callable[[list[int]], Found]
) -> list[tuple[list[int], Found]]:
    """Read texts in as many rows as there are threads, at once.

    Args:
        model: One that `reads_packed`.
        texts: Token ids of each, at least one.
        read: Given places in `texts` that make up a row, reads it; called on several threads, for each row once.

    Returns:
        Places and what was read there, row after row.
    """
    import torch

    # What a hook keeps between two calls would be mixed up among threads.
    parts = alike(texts, 1 if hooked(model) else torch.get_num_threads())
    with packed_attention(model):
        return list(zip(parts, in_parallel([partial(read, part) for part in parts]), strict=True))
