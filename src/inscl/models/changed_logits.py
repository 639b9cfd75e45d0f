"""A language model whose logits are changed at their source, so that decoding and likelihoods both see the change."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["changed_logits"]


@contextmanager
def changed_logits(model: Any, change: Callable[[Any, Any], Any]) -> Iterator[None]:
    """Within this block the logits of `model` are ``change(hidden, logits)``.

    transformers' `LogitsProcessor`s see tokens and logits, in decoding alone. What depends on the hidden state, or is
    to reach likelihoods too, needs this.

    Args:
        model: A causal language model of transformers, or a PEFT model around one.
        change: Given the states after the final norm that were projected, shape (n, k, hidden size), and the logits,
            shape (n, k, vocabulary); returns logits of the same shape.
    """
    network = model.get_base_model() if hasattr(model, "peft_config") else model
    projected: list[Any] = []

    def keep(_: Any, inputs: tuple[Any, ...]) -> None:
        projected[:] = inputs[:1]

    def replace(*call: Any) -> Any:
        outputs = call[-1]
        outputs.logits = change(projected.pop(), outputs.logits)
        return outputs

    hooks = [network.get_output_embeddings().register_forward_pre_hook(keep), network.register_forward_hook(replace)]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
