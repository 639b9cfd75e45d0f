"""Attention over packed examples, one at a time: the cost of each is its own length squared, not the row's.

On a CPU, transformers' ``sdpa`` masks the whole row, so that eight examples in a row cost eight times the attention of
the eight apart. Here each example is a causal attention of its own; the results are the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

from inscl.models.batches import attends_to_all
from inscl.models.picture_tokens import decoder_of

__all__ = ["packed_attention"]

_NAME = "inscl_packed"


@contextmanager
def packed_attention(model: Any) -> Iterator[None]:
    """Within this block `model` attends within the bounds that ``cu_seq_lens_q`` gives; afterwards as before.

    Nothing changes for models that do more than plain causal attention (sliding windows, other kernels), nor off the
    CPU, where there are kernels for this: those go on by the positions' new starts.
    """
    if model.config._attn_implementation != "sdpa" or model.device.type != "cpu" or not attends_to_all(model):
        yield
        return
    from transformers import AttentionInterface

    AttentionInterface.register(_NAME, _attend)
    reads = decoder_of(model)  # what sees pictures attends as ever
    reads.set_attn_implementation(_NAME)
    try:
        yield
    finally:
        reads.set_attn_implementation("sdpa")


def _attend(module: Any, query: Any, key: Any, value: Any, attention_mask: Any, **settings: Any) -> tuple[Any, None]:
    """Transformers' own ``sdpa`` on each example; query, key, value of shape (1, heads, tokens, width).

    Where examples share beginnings (`inscl.models.shared_packing`), a piece asks only for its own tokens, which see all
    of their example's.
    """
    import torch
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    pieces = settings.pop("packed_pieces", None)
    if pieces is None:
        pieces = [(*bounds, None, None) for bounds in pairwise(settings.pop("cu_seq_lens_q").tolist())]
    # In float32: torch's bf16 kernel for the CPU takes up to twice as long on examples of some hundred tokens.
    with torch.autocast(query.device.type, enabled=False):
        states = [part.float() for part in (query, key, value)]
        attended = []
        for start, end, seen, mask in pieces:
            own, *others = (part[:, :, start:end] for part in states)
            if seen is not None:
                others = [part.index_select(2, seen) for part in states[1:]]
            attended.append(sdpa_attention_forward(module, own, *others, mask, **settings)[0])
    return torch.cat(attended, dim=1).to(query.dtype), None
