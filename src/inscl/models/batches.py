"""Encoded examples to batches whose answer positions alone are projected onto the vocabulary.

Most tokens of an instruction example are prompt; in a conversation earlier answers may carry loss too.
``logits_to_keep``, which transformers' causal models accept, names the hidden states that the output layer sees;
an objective then sees what is left. With `answer` it is the model's own loss to the last bit of arithmetic,
for a fraction of the cost where the vocabulary is large.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

from inscl.contract.objective import IGNORED
from inscl.models.modes import evaluating
from inscl.models.prompts import Encoded

__all__ = ["attends_to_all", "pack", "packs_exactly", "pad", "understood"]


def pad(examples: Sequence[Encoded], pad_token: int, after: int = 0) -> dict[str, Any]:
    """One example a row, padded on the left so that answers end together.

    Args:
        examples: n examples.
        pad_token: What fills the left; masked.
        after: How many tokens a key-value cache holds already before each of the examples.

    Returns:
        ``input_ids``, ``position_ids`` of shape (n, longest); ``attention_mask`` of shape (n, after + longest);
        ``logits_to_keep``, the k last positions, from the first in the batch that predicts a token with loss; they are
        projected. ``labels`` of shape (n, 1 + k): a column that Trainer's shifted count skips, then what each kept
        position should predict, or -100.
    """
    import torch

    longest = max(len(example.tokens) for example in examples)
    positions_with_loss = [example.positions for example in examples]
    kept = max(len(e.tokens) - places[0] for e, places in zip(examples, positions_with_loss, strict=True)) + 1
    tokens = torch.full((len(examples), longest), pad_token)
    mask = torch.zeros_like(tokens)
    labels = torch.full((len(examples), 1 + kept), IGNORED)
    for row, (example, places) in enumerate(zip(examples, positions_with_loss, strict=True)):
        tokens[row, longest - len(example.tokens) :] = torch.tensor(example.tokens)
        mask[row, longest - len(example.tokens) :] = 1
        wanted = torch.tensor(places)
        labels[row, wanted + kept - len(example.tokens)] = torch.tensor(example.tokens)[wanted]
    positions = (mask.cumsum(1) - 1).clamp(min=0) + after
    return {
        "input_ids": tokens,
        "attention_mask": torch.cat([mask.new_ones(len(examples), after), mask], dim=1),
        "position_ids": positions,
        "logits_to_keep": torch.arange(longest - kept, longest),
        "use_cache": False,
        "labels": labels,
    }


def pack(examples: Sequence[Encoded]) -> dict[str, Any]:
    """All examples in one row without padding; positions start anew at each, which keeps them apart in attention.

    Returns:
        ``input_ids``, ``position_ids`` of shape (1, total); ``cu_seq_lens_*`` and ``max_length_*``, the bounds of the
        examples as attention kernels want them; ``logits_to_keep``, the k positions that predict answers; ``labels``
        of shape (1, 1 + k).
    """
    import torch

    tokens: list[int] = []
    positions: list[int] = []
    kept: list[int] = []
    labels = [IGNORED]
    bounds = [0]
    for example in examples:
        start, length = len(tokens), len(example.tokens)
        tokens += example.tokens
        positions += range(length)
        kept += [start + place - 1 for place in example.positions]
        labels += [example.tokens[place] for place in example.positions]
        bounds.append(len(tokens))
    lengths = torch.tensor(bounds, dtype=torch.int32)
    return {
        "input_ids": torch.tensor([tokens]),
        "position_ids": torch.tensor([positions]),
        "cu_seq_lens_q": lengths,
        "cu_seq_lens_k": lengths,
        "max_length_q": max(len(example.tokens) for example in examples),
        "max_length_k": max(len(example.tokens) for example in examples),
        "logits_to_keep": torch.tensor(kept),
        "use_cache": False,
        "labels": torch.tensor([labels]),
    }


def understood(model: Any, batch: Mapping[str, Any]) -> dict[str, Any]:
    """`batch` without what not every model takes: positions (Bloom has none) and which of them to project."""
    bare = model.get_base_model() if hasattr(model, "peft_config") else model
    names = inspect.signature(bare.forward).parameters
    optional = {"position_ids", "logits_to_keep"} - set(names)
    return {name: value for name, value in batch.items() if name not in optional}


def attends_to_all(model: Any) -> bool:
    """Whether every layer of `model` lets a token see all tokens before it: no sliding window, no recurrent state."""
    bare = model.get_base_model() if hasattr(model, "peft_config") else model
    config = bare.config.get_text_config()
    # GPT-Neo has a name of its own for the kinds of its layers.
    kinds = {*(getattr(config, "layer_types", None) or ()), *(getattr(config, "attention_layers", None) or ())}
    windows = (getattr(config, name, None) for name in ("sliding_window", "attention_chunk_size"))
    recurrent = getattr(bare, "_is_stateful", False)
    return kinds <= {"full_attention", "global"} and not any(windows) and not recurrent


def packs_exactly(model: Any) -> bool:
    """Whether `model` keeps packed examples apart: what the second yields must not depend on the first, bit for bit."""
    import torch

    if len(understood(model, {"position_ids": None, "logits_to_keep": None})) < 2:
        return False
    first, other, second = [1, 2, 3, 4], [5, 6, 7, 8], [3, 2, 4, 1, 2]
    found = []
    with torch.no_grad(), evaluating(model):
        for before in (first, other):
            batch = pack([Encoded(before, 3), Encoded(second, 1)])
            del batch["labels"]
            batch = {name: value.to(model.device) if hasattr(value, "to") else value for name, value in batch.items()}
            found.append(model(**batch).logits[:, 1:])
    return bool(torch.equal(*found))
