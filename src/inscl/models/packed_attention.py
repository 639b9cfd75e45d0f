"""Attention over packed examples, one at a time: the cost of each is its own length squared, not the row's.

On a CPU, transformers' ``sdpa`` masks the whole row, so that eight examples in a row cost eight times the attention of
the eight apart. Here each example is a causal attention of its own; the results are the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from inscl.models.batches import attends_to_all

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
    bare = model.get_base_model() if hasattr(model, "peft_config") else model
    bare.set_attn_implementation(_NAME)
    try:
        yield
    finally:
        bare.set_attn_implementation("sdpa")


def _attend(module: Any, query: Any, key: Any, value: Any, attention_mask: Any, **settings: Any) -> tuple[Any, None]:
    """Transformers' own ``sdpa`` on each example; query, key, value of shape (1, heads, tokens, width).

    Where examples share beginnings (`inscl.models.shared_packing`), each gets all its tokens; of what several compute
    alike, one copy goes on.
    """
    import torch
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    states = [query, key, value]
    places, lengths, new = settings.pop("packed_paths", (None, None, None))
    if places is None:
        lengths = settings.pop("cu_seq_lens_q").diff().tolist()
    else:
        states = [part.index_select(2, places) for part in states]
    # In float32: torch's bf16 kernel for the CPU takes up to twice as long on examples of some hundred tokens.
    with torch.autocast(query.device.type, enabled=False):
        each = zip(*(part.float().split(lengths, dim=2) for part in states), strict=True)
        attended = torch.cat([sdpa_attention_forward(module, *one, None, **settings)[0] for one in each], dim=1)
    return (attended if new is None else attended.index_select(1, new)).to(query.dtype), None
