"""Tokens beyond the vocabulary: each is a known token whose embedding is moved by a vector of its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

__all__ = ["first_soft_token", "soft_tokens"]


def first_soft_token(model: Any) -> int:
    """The first token id that is beyond the vocabulary of `model`."""
    return int(model.get_input_embeddings().weight.shape[0])


@contextmanager
def soft_tokens(model: Any, tokens: Sequence[int], delta: Any) -> Iterator[None]:
    r"""Within this block `model` reads tokens that its vocabulary doesn't have.

    .. math:: e(V + j) = E[\mathrm{tokens}_j] + \delta_j

    with V of `first_soft_token`. Prompts then stay rows of token ids, so that batches, caches and prompts that begin
    alike need to know nothing of it. Gradients reach `delta`.

    Args:
        model: A causal language model of transformers, or a PEFT model around one.
        tokens: The n known tokens.
        delta: A tensor of shape (n, hidden size), on the model's device.
    """
    import torch

    embeddings, first = model.get_input_embeddings(), first_soft_token(model)
    known = torch.tensor(list(tokens), dtype=torch.long, device=delta.device)
    asked: list[Any] = []

    def name(_: Any, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        ids = inputs[0]
        places = (ids - first).clamp(min=0)
        soft = ids >= first
        asked[:] = [(soft, places)]
        return (torch.where(soft, known[places], ids), *inputs[1:]) if len(known) else inputs

    def move(_: Any, inputs: tuple[Any, ...], found: Any) -> Any:
        soft, places = asked.pop()
        return found + torch.where(soft[..., None], delta[places], 0.0).to(found.dtype) if soft.any() else found

    hooks = [embeddings.register_forward_pre_hook(name), embeddings.register_forward_hook(move)]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
