"""Attention over packed examples, one at a time: the cost of each is its own length squared, not the row's.

On a CPU, transformers' ``sdpa`` masks the whole row, so that eight examples in a row cost eight times the attention of
the eight apart. Here each example is a causal attention of its own; the results are the same.

Where no gradient is wanted, a piece's tokens are taken in blocks that leave out the tokens after them, which a mask
would only hide.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from itertools import pairwise
from typing import Any, Protocol

from inscl.models.batches import attends_to_all
from inscl.models.picture_tokens import decoder_of

__all__ = ["Piece", "packed_attention"]

_NAME = "inscl_packed"

_BLOCK, _BLOCK_BF16 = 64, 96
"""Tokens that ask at once. Fewer leave out more of what they can't see, more make larger products: measured."""

_PLAIN = frozenset({"dropout", "scaling", "position_ids", "use_cache"})
"""Settings that plain attention obeys, or that mean nothing without gradients; others are left to transformers."""


class Piece(Protocol):
    """Consecutive tokens of a row, the last of a text of which more may lie elsewhere.

    Attributes:
        start: Their first place in the row.
        end: The place after their last.
    """

    start: int
    end: int

    def text(self, key: Any, value: Any, layer: int) -> tuple[Any, Any]:
        """Keys and values of the whole text, of shape (1, heads, tokens, width), given those of the row."""


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
    """Attention of each piece of a row; query, key, value of shape (1, heads, tokens, width).

    Where examples share beginnings (`inscl.models.shared_packing`), a piece asks only for its own tokens, which see all
    of their example's. ``packed_pieces`` holds such pieces, or each a `Piece`.
    """
    import torch

    pieces = settings.pop("packed_pieces", None)
    if pieces is None:
        pieces = [(*bounds, None, None) for bounds in pairwise(settings.pop("cu_seq_lens_q").tolist())]
    with torch.autocast(query.device.type, enabled=False):
        if torch.is_grad_enabled():
            return _taught(module, query, key, value, pieces, settings), None
        found = query.new_empty(1, query.shape[2], query.shape[1], value.shape[3])
        with _alone(len(pieces) == query.shape[2]):
            for piece in pieces:
                start, end, keys, values = _bounds(module, piece, key, value)
                _read(module, query[:, :, start:end], keys, values, settings, found[:, start:end])
        return found, None


@contextmanager
def _alone(single: bool) -> Iterator[None]:
    """Within this block one thread works, if each piece is a single token: threads would wait longer than they work."""
    import torch

    threads = torch.get_num_threads()
    if not single or threads == 1:
        yield
        return
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _bounds(module: Any, piece: Any, key: Any, value: Any) -> tuple[int, int, Any, Any]:
    """A piece's first place and its end, and the keys and values of its text up to there."""
    if not isinstance(piece, tuple):
        return (piece.start, piece.end, *piece.text(key, value, module.layer_idx))
    start, end, seen, _ = piece
    if seen is None:
        return start, end, key[:, :, start:end], value[:, :, start:end]
    return start, end, key.index_select(2, seen), value.index_select(2, seen)


def _taught(module: Any, query: Any, key: Any, value: Any, pieces: Any, settings: Mapping[str, Any]) -> Any:
    """Transformers' own ``sdpa`` on each piece, with gradients."""
    import torch
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    # In float32: torch's bf16 kernel for the CPU takes up to twice as long on examples of some hundred tokens.
    states = [part.float() for part in (query, key, value)]
    attended = []
    for start, end, seen, mask in pieces:
        own, *others = (part[:, :, start:end] for part in states)
        if seen is not None:
            others = [part.index_select(2, seen) for part in states[1:]]
        attended.append(sdpa_attention_forward(module, own, *others, mask, **settings)[0])
    return torch.cat(attended, dim=1).to(query.dtype)


def _read(module: Any, query: Any, key: Any, value: Any, settings: Mapping[str, Any], found: Any) -> None:
    """Attention of the last n of a text's m tokens, without gradients.

    Args:
        module: The layer that asks.
        query: Shape (1, heads, n, width).
        key: Shape (1, heads or a part of them, m, width).
        value: Likewise.
        settings: What transformers gives an attention function.
        found: Where it is written, shape (1, n, heads, width).
    """
    import torch
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    if not query.dtype == key.dtype == value.dtype:
        # Under autocast weights in float32 leave queries and keys as the rotation makes them, and values in bfloat16.
        query, key, value = query.float(), key.float(), value.float()
    own, whole = query.shape[2], key.shape[2]
    more = {name for name, given in settings.items() if given is not None} - _PLAIN
    if more or settings.get("dropout"):
        mask = torch.ones(1, 1, own, whole, dtype=torch.bool).tril(whole - own)
        states = query.float(), key.float(), value.float()
        found.copy_(sdpa_attention_forward(module, *states, mask, **settings)[0])
        return
    scale = settings.get("scaling")
    if own == 1:
        # A token's heads that share keys ask together, as several tokens do elsewhere.
        asked = query.reshape(1, key.shape[1], -1, query.shape[3])
        said = torch.nn.functional.scaled_dot_product_attention(asked, key, value, scale=scale)
        found.copy_(said.view(found.shape))
    elif query.dtype == torch.bfloat16:
        _read_bf16(query, key, value, scale, found)
    else:
        query, key, value = query.float(), key.float(), value.float()
        for start in range(0, own, _BLOCK):
            end = min(own, start + _BLOCK)
            seen = whole - own + end
            block = query[:, :, start:end], key[:, :, :seen], value[:, :, :seen]
            mask = _mask(end - start, seen)[None, None]
            found[:, start:end] = sdpa_attention_forward(module, *block, mask, **settings)[0]


def _read_bf16(query: Any, key: Any, value: Any, scale: float | None, found: Any) -> None:
    """Products in bfloat16, as in transformers' ``eager``: processors that have them do four in the time of one."""
    import torch

    (_, heads, own, width), groups, whole = query.shape, key.shape[1], key.shape[2]
    query = query[0] * (width**-0.5 if scale is None else scale)
    across, value = key[0].transpose(1, 2), value[0]
    for start in range(0, own, _BLOCK_BF16):
        end = min(own, start + _BLOCK_BF16)
        rows, seen = end - start, whole - own + end
        asked = query[:, start:end].reshape(groups, heads // groups * rows, width)
        scores = torch.bmm(asked, across[:, :, :seen]).view(heads, rows, seen)
        scores[:, :, seen - rows :] += _mask(rows, rows).to(scores.dtype)
        weights = scores.softmax(-1).view(groups, -1, seen)
        found[0, start:end] = torch.bmm(weights, value[:, :seen]).view(heads, rows, -1).transpose(0, 1)


def _mask(rows: int, seen: int) -> Any:
    """0 where the last `rows` of `seen` tokens see one of them, minus infinity elsewhere; shape (rows, seen)."""
    before = 1 << (seen - rows).bit_length()
    first = before - (seen - rows)
    return _wide_mask(before)[:rows, first : first + seen]


@lru_cache(maxsize=32)
def _wide_mask(before: int) -> Any:
    """0 where a token of a block sees one of the block, or one of `before` tokens before it."""
    import torch

    most = max(_BLOCK, _BLOCK_BF16)
    return torch.full((most, before + most), float("-inf")).triu(before + 1)
