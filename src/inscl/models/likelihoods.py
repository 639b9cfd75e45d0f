"""Likelihoods of given answers and of a question's options: teacher-forced, one forward pass per batch."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Sequence
from typing import Any

from inscl.contract import LogLikelihood
from inscl.contract.objective import IGNORED
from inscl.models.batches import pad, understood
from inscl.models.prompts import Encoded

__all__ = ["log_likelihoods", "option_likelihoods", "over_options"]

_MOST_LOGITS = 1 << 26
"""Numbers in one batch's logits, 256 MB of float32: a vocabulary is large, and answers may be long."""


def log_likelihoods(model: Any, examples: Sequence[Encoded], *, batch_size: int, pad_token: int) -> list[LogLikelihood]:
    r"""The log-likelihood of each answer after its prompt, end of sequence included, and its greedy-correct tokens.

    .. math:: \mathrm{nats} = \sum_t \ln p(y_t \mid x, y_{<t})

    Earlier answers inside a prompt are read and not counted.

    Args:
        model: A causal language model of transformers, or a PEFT model around one, in evaluation mode.
        examples: Prompts with their answers.
        batch_size: Most examples at a time; examples of similar length share a batch.
        pad_token: What fills the left; masked, so any token will do.

    Returns:
        One for each example, in order.
    """
    import torch

    answers = [Encoded(example.tokens, example.prompt_length) for example in examples]
    found: list[LogLikelihood | None] = [None] * len(answers)
    order = sorted(range(len(answers)), key=lambda k: (len(answers[k].tokens), answers[k].prompt_length))
    lengths = [len(example.tokens) - example.prompt_length for example in answers]
    with torch.inference_mode():
        for places in _batches(order, lengths, batch_size, _vocabulary(model)):
            batch = pad([answers[k] for k in places], pad_token)
            labels = batch.pop("labels")[:, 1:].to(model.device)
            logits = model(**_here(understood(model, batch), model)).logits[:, -labels.shape[1] :]
            for k, row in zip(places, _scored(logits, labels), strict=True):
                found[k] = row
    return [row for row in found if row is not None]


def option_likelihoods(
    model: Any, prompts: Sequence[Sequence[int]], options: Sequence[Sequence[Sequence[int]]], *, batch_size: int
) -> list[list[LogLikelihood]]:
    """The log-likelihood of each of a prompt's options, with the prompt read once for all of them.

    Its keys and values are kept and repeated for the options, so that a question with two hundred costs one reading of
    it and two hundred short continuations. Options that begin alike, or one of which is the beginning of another, are
    told apart as answers are: each ends with its end of sequence.

    Args:
        model: As in `log_likelihoods`.
        prompts: Token ids of each prompt; at least one.
        options: For each prompt token ids of its options, the end of sequence last.
        batch_size: Most options at a time.

    Returns:
        For each prompt one for each option, in order.
    """
    import torch
    from transformers import DynamicCache

    found = []
    with torch.inference_mode():
        for prompt, own in zip(prompts, options, strict=True):
            read = DynamicCache(config=model.config)
            step = {
                "input_ids": torch.tensor([list(prompt)]),
                "attention_mask": torch.ones((1, len(prompt)), dtype=torch.long),
                "past_key_values": read,
                "use_cache": True,
                "logits_to_keep": torch.tensor([len(prompt) - 1]),
            }
            first = model(**_here(understood(model, step), model)).logits[:, -1:]
            rows: list[LogLikelihood | None] = [None] * len(own)
            order, lengths = sorted(range(len(own)), key=lambda k: len(own[k])), [len(option) for option in own]
            for places in _batches(order, lengths, batch_size, _vocabulary(model)):
                scored = _continued(model, copy.deepcopy(read), len(prompt), first, [own[k] for k in places])
                for k, row in zip(places, scored, strict=True):
                    rows[k] = row
            found.append([row for row in rows if row is not None])
    return found


def over_options(likelihoods: Sequence[LogLikelihood], normalise: bool) -> tuple[float, ...]:
    r"""Log-probabilities over the options: the log-softmax of their nats, or of their nats a token.

    .. math:: \ln p(o) = s_o - \ln \sum_{o'} e^{s_{o'}}, \quad s_o = \mathrm{nats}_o / \mathrm{tokens}_o
    """
    scores = [one.nats / one.tokens if normalise else one.nats for one in likelihoods]
    most = max(scores)
    whole = most + math.log(sum(math.exp(score - most) for score in scores))
    return tuple(score - whole for score in scores)


def _continued(
    model: Any, cache: Any, length: int, first: Any, options: Sequence[Sequence[int]]
) -> list[LogLikelihood]:
    """Options of one prompt after its `cache`; `first` are the logits after the prompt, shape (1, 1, vocabulary).

    Padding stands on the right, where no earlier token of a causal model sees it.
    """
    import torch

    longest = max(map(len, options))
    labels = torch.full((len(options), longest), IGNORED)
    for row, option in enumerate(options):
        labels[row, : len(option)] = torch.tensor(option)
    labels = labels.to(model.device)
    logits = first.expand(len(options), 1, first.shape[-1])
    if longest > 1:
        cache.batch_select_indices(torch.zeros(len(options), dtype=torch.long, device=model.device))
        step = {
            "input_ids": labels[:, :-1].clamp(min=0),
            "attention_mask": torch.ones((len(options), length + longest - 1), dtype=torch.long),
            "position_ids": torch.arange(length, length + longest - 1).expand(len(options), -1),
            "past_key_values": cache,
            "use_cache": True,
        }
        logits = torch.cat([logits, model(**_here(understood(model, step), model)).logits], dim=1)
    return _scored(logits, labels)


def _scored(logits: Any, labels: Any) -> list[LogLikelihood]:
    """Sums, counts and correct tokens a row; logits of shape (n, k, vocabulary), labels (n, k), -100 left out."""
    import torch

    nats = -torch.nn.functional.cross_entropy(
        logits.float().transpose(1, 2), labels, ignore_index=IGNORED, reduction="none"
    ).sum(1, dtype=torch.float64)
    counted = labels != IGNORED
    correct = ((logits.argmax(-1) == labels) & counted).sum(1)
    rows = zip(nats.tolist(), counted.sum(1).tolist(), correct.tolist(), strict=True)
    return [LogLikelihood(min(total, 0.0), count, right) for total, count, right in rows]


def _batches(order: Sequence[int], lengths: Sequence[int], batch_size: int, vocabulary: int) -> Iterator[list[int]]:
    """`order` in pieces of at most `batch_size` whose logits stay in bounds; at least one in each."""
    batch: list[int] = []
    longest = 0
    for place in order:
        together = (len(batch) + 1) * (max(longest, lengths[place]) + 1) * vocabulary
        if batch and (len(batch) == batch_size or together > _MOST_LOGITS):
            yield batch
            batch, longest = [], 0
        batch.append(place)
        longest = max(longest, lengths[place])
    if batch:
        yield batch


def _vocabulary(model: Any) -> int:
    return int(model.get_output_embeddings().weight.shape[0])


def _here(batch: dict[str, Any], model: Any) -> dict[str, Any]:
    return {name: value.to(model.device) if hasattr(value, "to") else value for name, value in batch.items()}
