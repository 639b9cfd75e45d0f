"""Likelihoods of a question's options: each prompt is read once, and its options after it.

Where the model allows it, options are answers in rows without padding (`inscl.models.likelihoods`). Otherwise the keys
and values of questions of similar length are kept and repeated for the options.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from inscl.contract import LogLikelihood
from inscl.contract.objective import IGNORED
from inscl.models.batches import understood
from inscl.models.kept_prompts import KeptPrompts
from inscl.models.likelihoods import batches, flat, here, of_answers, scored_answers, vocabulary_of
from inscl.models.packed_reading import reads_packed
from inscl.models.prompts import Encoded

__all__ = ["option_likelihoods", "over_options"]


def option_likelihoods(
    model: Any,
    prompts: Sequence[Sequence[int]],
    options: Sequence[Sequence[Sequence[int]]],
    *,
    batch_size: int,
    pad_token: int,
    kept: KeptPrompts | None = None,
) -> list[list[LogLikelihood]]:
    """The log-likelihood of each of a prompt's options, with the prompt read once for all of them.

    A question with two hundred options costs one reading of it and two hundred short continuations. Where the model
    allows it, they stand in one row, with other questions that begin alike, and what options begin with alike is read
    once too. Otherwise the keys and values of questions of similar length are kept and repeated for the options.
    Options that begin alike, or one of which is the beginning of another, are told apart as answers are: each ends with
    its end of sequence.

    Args:
        model: As in `inscl.models.likelihoods.log_likelihoods`.
        prompts: Token ids of each prompt; at least one.
        options: For each prompt token ids of its options, the end of sequence last.
        batch_size: Most options at a time, of as many prompts; a prompt with more of them is read alone. In rows
            without padding: as many as have no more distinct tokens than so many of the longest.
        pad_token: What fills the left of shorter prompts; masked, so any token will do.
        kept: As there.

    Returns:
        For each prompt one for each option, in order.
    """
    import torch

    with torch.inference_mode():
        if not reads_packed(model):
            return _padded_options(model, prompts, options, batch_size, pad_token)
    pairs = zip(prompts, options, strict=True)
    each = [Encoded([*prompt, *option], len(prompt)) for prompt, own in pairs for option in own]
    scored = iter(of_answers(model, each, batch_size, pad_token, scored_answers, kept))
    return [[next(scored) for _ in own] for own in options]


def over_options(likelihoods: Sequence[LogLikelihood], normalise: bool) -> tuple[float, ...]:
    r"""Log-probabilities over the options: the log-softmax of their nats, or of their nats a token.

    .. math:: \ln p(o) = s_o - \ln \sum_{o'} e^{s_{o'}}, \quad s_o = \mathrm{nats}_o / \mathrm{tokens}_o
    """
    scores = [one.nats / one.tokens if normalise else one.nats for one in likelihoods]
    most = max(scores)
    whole = most + math.log(sum(math.exp(score - most) for score in scores))
    return tuple(score - whole for score in scores)


def _padded_options(
    model: Any,
    prompts: Sequence[Sequence[int]],
    options: Sequence[Sequence[Sequence[int]]],
    batch_size: int,
    pad_token: int,
) -> list[list[LogLikelihood]]:
    """Options after the keys and values of their prompts, which are padded to the same length."""
    found: list[list[LogLikelihood | None]] = [[None] * len(own) for own in options]
    for places in _together(prompts, options, batch_size):
        read = _read(model, [prompts[place] for place in places], pad_token)
        pairs = [(row, k) for row, place in enumerate(places) for k in range(len(options[place]))]
        asked = [options[places[row]][k] for row, k in pairs]
        lengths = [len(option) for option in asked]
        order = sorted(range(len(asked)), key=lambda n: lengths[n])
        for batch in batches(order, lengths, batch_size, vocabulary_of(model)):
            scored = _continued(model, read, [pairs[n][0] for n in batch], [asked[n] for n in batch])
            for n, one in zip(batch, scored, strict=True):
                found[places[pairs[n][0]]][pairs[n][1]] = one
    return [[one for one in rows if one is not None] for rows in found]


@dataclass(frozen=True)
class _Read:
    """Prompts that were read.

    Attributes:
        cache: Their keys and values, padded on the left to the same length.
        mask: Shape (n, length), 0 where a prompt is padded.
        logits: Of what follows each, shape (n, 1, vocabulary).
    """

    cache: Any
    mask: Any
    logits: Any


def _together(
    prompts: Sequence[Sequence[int]], options: Sequence[Sequence[Sequence[int]]], batch_size: int
) -> Iterator[list[int]]:
    """Prompts of similar length that have at most `batch_size` options together; at least one in each."""
    batch: list[int] = []
    for place in sorted(range(len(prompts)), key=lambda k: len(prompts[k])):
        if batch and sum(len(options[one]) for one in (*batch, place)) > batch_size:
            yield batch
            batch = []
        batch.append(place)
    if batch:
        yield batch


def _read(model: Any, prompts: Sequence[Sequence[int]], pad_token: int) -> _Read:
    """Read prompts, each once."""
    import torch
    from transformers import DynamicCache

    longest = max(map(len, prompts))
    tokens = torch.tensor([[pad_token] * (longest - len(prompt)) + list(prompt) for prompt in prompts])
    mask = torch.tensor([[0] * (longest - len(prompt)) + [1] * len(prompt) for prompt in prompts])
    cache = DynamicCache(config=model.config)
    step = {
        "input_ids": tokens,
        "attention_mask": mask,
        "position_ids": (mask.cumsum(1) - 1).clamp(min=0),
        "past_key_values": cache,
        "use_cache": True,
        "logits_to_keep": torch.tensor([longest - 1]),
    }
    return _Read(cache, mask, model(**here(understood(model, step), model)).logits[:, -1:])


def _continued(model: Any, read: _Read, rows: Sequence[int], options: Sequence[Sequence[int]]) -> list[LogLikelihood]:
    """The likelihood of each option after the prompt that stands in the row of `read` named beside it.

    Options are padded on the right, where no earlier token of a causal model sees it.
    """
    import torch

    longest = max(map(len, options))
    labels = torch.full((len(options), longest), IGNORED)
    for row, option in enumerate(options):
        labels[row, : len(option)] = torch.tensor(option)
    labels = labels.to(model.device)
    chosen = torch.tensor(rows, device=model.device)
    logits = read.logits[chosen]
    if longest > 1:
        cache = copy.deepcopy(read.cache)
        cache.batch_select_indices(chosen)
        prompts = read.mask[torch.tensor(rows)]
        step = {
            "input_ids": labels[:, :-1].clamp(min=0),
            "attention_mask": torch.cat([prompts, prompts.new_ones((len(options), longest - 1))], dim=1),
            "position_ids": prompts.sum(1, keepdim=True) + torch.arange(longest - 1),
            "past_key_values": cache,
            "use_cache": True,
        }
        logits = torch.cat([logits, model(**here(understood(model, step), model)).logits], dim=1)
    return scored_answers(*flat(logits, labels))
