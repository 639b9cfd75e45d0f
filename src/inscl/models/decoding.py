"""Greedy answers to many prompts, batched by length."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from inscl.models.batches import understood
from inscl.models.shared_prefixes import Prefix, groups_for

if TYPE_CHECKING:
    import torch
    from transformers import LogitsProcessor

__all__ = ["generate_greedily"]


def generate_greedily(
    model: Any,
    prompts: Sequence[Sequence[int]],
    *,
    max_new_tokens: int,
    batch_size: int,
    end_tokens: Collection[int],
    pad_token: int,
    processors: Sequence[LogitsProcessor] = (),
    advance: Callable[[int], None] = lambda done: None,
    known: Mapping[str, list[list[int]]] = MappingProxyType({}),
    keep: Callable[[str, list[list[int]]], None] = lambda batch, found: None,
    over: Callable[[list[int]], bool] = lambda answer: False,
) -> list[list[int]]:
    """The most likely continuation of each prompt, token by token, with a key-value cache.

    What prompts share at their beginning is read once for all of them, where the model allows it. Prompts of similar
    length share a batch, padded on the left; a row that has ended leaves its batch, so nothing is computed for it any
    more.

    Args:
        model: A causal language model of transformers, or a PEFT model around one.
        prompts: Token ids of each prompt.
        max_new_tokens: Where an answer is cut if it hasn't ended.
        batch_size: Prompts at a time.
        end_tokens: Any of these ends an answer and isn't part of it.
        pad_token: What fills the left; masked, so any token will do.
        processors: transformers' hooks, called before every token: each gets the tokens so far, shape (rows, length),
            padded on the left, and the logits, shape (rows, vocabulary), and returns logits.
        advance: Told after each batch how many prompts are done.
        known: Number of a batch -> its answers, from an interrupted call with the same arguments. The other batches are
            made up as if it had none, so that no answer depends on where the call was interrupted.
        keep: Given each new batch's number and answers.
        over: Whether an answer so far ends here, its last token included; asked after every token.

    Returns:
        Token ids of each answer, in the order of `prompts`.
    """
    import torch

    answers: list[list[int]] = [[] for _ in prompts]
    ends, number, done = frozenset(end_tokens), 0, 0
    with torch.inference_mode():
        for group in groups_for(model, prompts):
            prefix = Prefix(model, prompts[group.places[0]][: group.shared])
            for batch in group.batches(batch_size):
                found = known.get(str(number))
                if found is None or len(found) != len(batch):
                    asked = [prompts[place][group.shared :] for place in batch]
                    found = _batch(model, asked, prefix, max_new_tokens, ends, pad_token, processors, over)
                    keep(str(number), found)
                for place, answer in zip(batch, found, strict=True):
                    answers[place] = answer
                number, done = number + 1, done + len(batch)
                advance(done)
    return answers


def _batch(
    model: Any,
    prompts: Sequence[Sequence[int]],
    prefix: Prefix,
    max_new_tokens: int,
    end_tokens: frozenset[int],
    pad_token: int,
    processors: Sequence[LogitsProcessor],
    over: Callable[[list[int]], bool],
) -> list[list[int]]:
    """Answers to one batch: `prompts` without the tokens of their `prefix`."""
    import torch

    tokens, mask, so_far = _padded(prompts, prefix, pad_token, model.device)
    positions = (mask.cumsum(1) - 1).clamp(min=0)[:, len(prefix.tokens) :]
    cache = prefix.cache(len(prompts))
    answers: list[list[int]] = [[] for _ in prompts]
    alive = list(range(len(prompts)))
    for _ in range(max_new_tokens):
        step = {
            "input_ids": tokens,
            "attention_mask": mask,
            "position_ids": positions,
            "past_key_values": cache,
            "use_cache": True,
            # A tensor, not the number 1: a slice would leave the last states scattered in memory, and torch then
            # copies the vocabulary matrix once a row to multiply them (57 MB each for SmolLM2).
            "logits_to_keep": torch.tensor([tokens.shape[1] - 1], device=model.device),
        }
        outputs = model(**understood(model, step))
        logits = outputs.logits[:, -1]
        for processor in processors:
            logits = processor(so_far, logits)
        following = logits.argmax(-1)
        going = [place for place, token in enumerate(following.tolist()) if token not in end_tokens]
        for place in going:
            answers[alive[place]].append(int(following[place]))
        going = [place for place in going if not over(answers[alive[place]])]
        if not going:
            break
        if len(going) < len(alive):
            kept = torch.tensor(going, device=model.device)
            cache.batch_select_indices(kept)
            following, mask, positions, so_far = following[kept], mask[kept], positions[kept], so_far[kept]
            alive = [alive[place] for place in going]
        tokens = following[:, None]
        so_far = torch.cat([so_far, tokens], dim=1)
        mask = torch.cat([mask, mask.new_ones(len(alive), 1)], dim=1)
        positions = positions[:, -1:] + 1
    return answers


def _padded(
    prompts: Sequence[Sequence[int]], prefix: Prefix, pad_token: int, device: Any
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Tokens of `prompts`, padded on the left, shape (rows, longest); mask; whole prompts, padded before the prefix."""
    import torch

    longest = max(len(prompt) for prompt in prompts)
    padding = [[pad_token] * (longest - len(prompt)) for prompt in prompts]
    tokens = torch.tensor([[*pads, *prompt] for pads, prompt in zip(padding, prompts, strict=True)], device=device)
    ones = [1] * len(prefix.tokens)
    mask = torch.tensor([ones + [0] * (longest - len(prompt)) + [1] * len(prompt) for prompt in prompts], device=device)
    whole = [[*pads, *prefix.tokens, *prompt] for pads, prompt in zip(padding, prompts, strict=True)]
    return tokens, mask, torch.tensor(whole, device=device)
