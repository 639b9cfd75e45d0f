"""Likelihoods of given answers and of a question's options: teacher-forced, one forward pass per batch.

Where the model allows it (`inscl.models.packed_reading`), what texts begin with alike is read once: an instruction for
all its answers, and a question for all its options. Where texts also go on alike, so do their predictions: these are
projected onto the vocabulary once. Prompts that were kept when they were answered (`inscl.models.kept_prompts`) aren't
read again at all.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from inscl.contract import LogLikelihood
from inscl.contract.objective import IGNORED
from inscl.models.batches import pad, understood
from inscl.models.changed_logits import changed_logits
from inscl.models.held_states import HeldText
from inscl.models.kept_memory import kept_memory
from inscl.models.kept_prompts import KeptPrompts, RowAfter, after_kept
from inscl.models.lower_states import Given, above_frozen
from inscl.models.packed_reading import in_rows, reads_packed
from inscl.models.prompts import Encoded
from inscl.models.shared_packing import SharedRow, alphabetical
from inscl.models.shared_prefixes import Prefix, common_length, groups_for

__all__ = ["AnswerStates", "answer_states", "log_likelihoods", "of_answers", "option_likelihoods", "over_options"]

Found = TypeVar("Found")

_MOST_LOGITS = 1 << 26
"""Numbers in one batch's logits, 256 MB of float32: a vocabulary is large, and answers may be long."""

_MOST_TOKENS = 1 << 12
"""Distinct tokens in one batch of rows without padding: more make no product faster, but leave the caches."""

Use = Callable[[Any, Any, Any, list[int]], list[Found]]
"""What is made of answers, given logits of shape (d, vocabulary); which of them predicts each of k tokens, or a slice
where that is each in turn; the k tokens; and how many of these each answer has."""


def log_likelihoods(
    model: Any, examples: Sequence[Encoded], *, batch_size: int, pad_token: int, kept: KeptPrompts | None = None
) -> list[LogLikelihood]:
    r"""The log-likelihood of each answer after its prompt, end of sequence included, and its greedy-correct tokens.

    .. math:: \mathrm{nats} = \sum_t \ln p(y_t \mid x, y_{<t})

    Earlier answers inside a prompt are read and not counted.

    Args:
        model: A causal language model of transformers, or a PEFT model around one, in evaluation mode.
        examples: Prompts with their answers.
        batch_size: Most examples at a time; examples of similar length share a batch. In rows without padding: as
            many as have no more distinct tokens than so many of the longest, but 4,096 at most.
        pad_token: What fills the left; masked, so any token will do.
        kept: Prompts that this model has read and that needn't be read again.

    Returns:
        One for each example, in order.
    """
    return of_answers(model, examples, batch_size, pad_token, _scored, kept)


@dataclass(frozen=True)
class AnswerStates:
    """What the network holds where it predicts an answer of t tokens.

    Attributes:
        hidden: The states after the final norm, each of which predicts one token; shape (t, hidden size), float32.
        log_probabilities: Of the answer's tokens, nats; shape (t,), float32.
    """

    hidden: NDArray[np.float32]
    log_probabilities: NDArray[np.float32]


def answer_states(model: Any, examples: Sequence[Encoded], *, batch_size: int, pad_token: int) -> list[AnswerStates]:
    """The states that predict each example's answer, end of sequence included; arguments as in `log_likelihoods`."""
    import torch

    def beside(hidden: Any, logits: Any) -> Any:
        return torch.cat([logits.float(), hidden.float()], dim=-1)

    def states(both: Any, at: Any, labels: Any, counts: Sequence[int]) -> list[AnswerStates]:
        logits, hidden = both.split([_vocabulary(model), both.shape[1] - _vocabulary(model)], dim=1)
        nats = _log_probabilities(logits, at, labels)
        return [
            AnswerStates(own.cpu().numpy().copy(), known.cpu().numpy())
            for own, known in zip(hidden[at].split(counts), nats.split(counts), strict=True)
        ]

    with changed_logits(model, beside):
        return of_answers(model, examples, batch_size, pad_token, states)


def of_answers(
    model: Any,
    examples: Sequence[Encoded],
    batch_size: int,
    pad_token: int,
    use: Use[Found],
    kept: KeptPrompts | None = None,
) -> list[Found]:
    """What `use` makes of each answer, in order; the other arguments are those of `log_likelihoods`.

    `use` may be called on several threads at once.
    """
    import torch

    found: dict[int, Found] = {}
    with torch.inference_mode(), kept_memory():
        if reads_packed(model):
            # Without their spans: earlier answers aren't counted.
            plain = [Encoded(one.tokens, one.prompt_length) for one in examples]
            parts = _packed(model, plain, batch_size, use, kept)
        else:
            parts = _padded(model, examples, batch_size, pad_token, use)
        for places, results in parts:
            found.update(zip(places, results, strict=True))
    return [found[k] for k in range(len(examples))]


def _packed(
    model: Any, examples: Sequence[Encoded], batch_size: int, use: Use[Found], kept: KeptPrompts | None
) -> Iterator[tuple[list[int], list[Found]]]:
    """Answers in rows without padding: those after prompts that are kept, then the others."""
    found = [None if kept is None else kept.of(one.tokens[: one.prompt_length]) for one in examples]
    held = {place: text for place, text in enumerate(found) if text is not None}
    yield from _after_kept(model, examples, held, batch_size, use)
    rest = [place for place in range(len(examples)) if place not in held]
    for places, results in _whole(model, [examples[place] for place in rest], batch_size, use):
        yield [rest[place] for place in places], results


def _after_kept(
    model: Any, examples: Sequence[Encoded], held: Mapping[int, HeldText], batch_size: int, use: Use[Found]
) -> Iterator[tuple[list[int], list[Found]]]:
    """Answers to the prompts that are `held`, by their places; only their prompts' last tokens are read again."""
    own = {place: Encoded(examples[place].tokens[text.read :], 1) for place, text in held.items()}
    order = sorted(held, key=lambda place: (examples[place].tokens[: examples[place].prompt_length], place))
    sizes = {place: (len(own[place].tokens) - 1, len(own[place].positions)) for place in order}
    costs = {place: (size, size) for place, size in sizes.items()}  # as if nothing were shared
    for places in _bounded(costs, _most_tokens(examples, batch_size), _vocabulary(model)):
        texts = _read_of([own[place] for place in places])

        def read(part: list[int], row: RowAfter, places: list[int] = places) -> list[Found]:
            return _read_row(model, [own[places[k]] for k in part], row.inputs(), row.paths, use)

        for part, results in after_kept(model, [held[place] for place in places], texts, read):
            yield [places[k] for k in part], results


def _whole(
    model: Any, examples: Sequence[Encoded], batch_size: int, use: Use[Found]
) -> Iterator[tuple[list[int], list[Found]]]:
    """Prompts with their answers, those that begin alike together."""
    texts = _read_of(examples)
    for places in _alike_batches(examples, batch_size, _vocabulary(model)):
        together = [texts[k] for k in places]
        with above_frozen(model, together) as given:

            def read(part: list[int], places: list[int] = places, given: Given = given) -> list[Found]:
                own = [texts[places[k]] for k in part]
                row = SharedRow.of(own)
                return _read_row(model, [examples[places[k]] for k in part], given(row.inputs(), own), row.paths, use)

            read_rows = in_rows(model, together, read)
        for part, results in read_rows:
            yield [places[row] for row in part], results


def _read_of(examples: Sequence[Encoded]) -> list[list[int]]:
    """All tokens but the last of each, which is predicted and predicts nothing."""
    return [one.tokens[:-1] for one in examples]


def _read_row(
    model: Any, examples: Sequence[Encoded], inputs: Mapping[str, Any], paths: Sequence[Sequence[int]], use: Use[Found]
) -> list[Found]:
    """What `use` makes of answers in one row; each distinct place that predicts is projected once.

    Args:
        model: What reads them.
        examples: In the row but for their last tokens.
        inputs: What the model takes.
        paths: Where in the row each example's tokens are.
        use: What is made of them.
    """
    import torch

    places = [path[at - 1] for path, one in zip(paths, examples, strict=True) for at in one.positions]
    kept, at = torch.tensor(places).unique(return_inverse=True)
    logits = model(**inputs, logits_to_keep=kept, use_cache=False).logits[0]
    labels = torch.tensor([one.tokens[at] for one in examples for at in one.positions])
    return use(logits, at, labels, [len(one.positions) for one in examples])


def _padded(
    model: Any, examples: Sequence[Encoded], batch_size: int, pad_token: int, use: Use[Found]
) -> Iterator[tuple[list[int], list[Found]]]:
    """Answers in batches of similar length, padded on the left; what a group of prompts shares is read once."""
    prompts = [example.tokens[: example.prompt_length] for example in examples]
    lengths = [len(example.tokens) - example.prompt_length for example in examples]
    for group in groups_for(model, prompts):
        prefix = Prefix(model, prompts[group.places[0]][: group.shared])
        order = sorted(group.places, key=lambda k: (len(examples[k].tokens), len(prompts[k])))
        for places in _batches(order, lengths, batch_size, _vocabulary(model)):
            rest = [
                Encoded(examples[k].tokens[group.shared :], examples[k].prompt_length - group.shared) for k in places
            ]
            batch = pad(rest, pad_token, after=group.shared)
            if group.shared:
                batch |= {"past_key_values": prefix.cache(len(rest)), "use_cache": True}
            labels = batch.pop("labels")[:, 1:].to(model.device)
            logits = model(**_here(understood(model, batch), model)).logits[:, -labels.shape[1] :]
            yield places, use(*_flat(logits, labels))


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
        model: As in `log_likelihoods`.
        prompts: Token ids of each prompt; at least one.
        options: For each prompt token ids of its options, the end of sequence last.
        batch_size: Most options at a time, of as many prompts; a prompt with more of them is read alone. In rows
            without padding: as many as have no more distinct tokens than so many of the longest.
        pad_token: What fills the left of shorter prompts; masked, so any token will do.
        kept: As in `log_likelihoods`.

    Returns:
        For each prompt one for each option, in order.
    """
    import torch

    with torch.inference_mode():
        if not reads_packed(model):
            return _padded_options(model, prompts, options, batch_size, pad_token)
    pairs = zip(prompts, options, strict=True)
    each = [Encoded([*prompt, *option], len(prompt)) for prompt, own in pairs for option in own]
    scored = iter(of_answers(model, each, batch_size, pad_token, _scored, kept))
    return [[next(scored) for _ in own] for own in options]


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
        for batch in _batches(order, lengths, batch_size, _vocabulary(model)):
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
    return _Read(cache, mask, model(**_here(understood(model, step), model)).logits[:, -1:])


def over_options(likelihoods: Sequence[LogLikelihood], normalise: bool) -> tuple[float, ...]:
    r"""Log-probabilities over the options: the log-softmax of their nats, or of their nats a token.

    .. math:: \ln p(o) = s_o - \ln \sum_{o'} e^{s_{o'}}, \quad s_o = \mathrm{nats}_o / \mathrm{tokens}_o
    """
    scores = [one.nats / one.tokens if normalise else one.nats for one in likelihoods]
    most = max(scores)
    whole = most + math.log(sum(math.exp(score - most) for score in scores))
    return tuple(score - whole for score in scores)


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
        logits = torch.cat([logits, model(**_here(understood(model, step), model)).logits], dim=1)
    return _scored(*_flat(logits, labels))


def _flat(logits: Any, labels: Any) -> tuple[Any, slice, Any, list[int]]:
    """What `Use` gets, of logits of shape (n, k, vocabulary) and labels (n, k), -100 where nothing is predicted."""
    counted = labels != IGNORED
    return logits[counted], slice(None), labels[counted], counted.sum(1).tolist()


def _scored(logits: Any, at: Any, labels: Any, counts: Sequence[int]) -> list[LogLikelihood]:
    """Sums, counts and correct tokens of each answer; arguments as in `Use`."""
    nats = _log_probabilities(logits, at, labels).double()
    right = logits.argmax(-1)[at] == labels
    each = zip(nats.split(counts), right.split(counts), strict=True)
    return [LogLikelihood(min(float(own.sum()), 0.0), len(own), int(correct.sum())) for own, correct in each]


def _log_probabilities(logits: Any, at: Any, labels: Any) -> Any:
    """Of tokens in nats, shape (k,), float32; arguments as in `Use`."""
    known = logits.float().log_softmax(-1)
    rows = range(len(labels)) if isinstance(at, slice) else at
    return known[rows, labels]


def _alike_batches(examples: Sequence[Encoded], batch_size: int, vocabulary: int) -> Iterator[list[int]]:
    """Neighbours in lexicographic order whose distinct tokens and logits stay in bounds; at least one in each."""
    texts = _read_of(examples)
    order = alphabetical(texts)
    shared = [0, *(common_length(texts[one], texts[other]) for one, other in pairwise(order))][: len(order)]
    costs = {
        place: (
            (len(texts[place]) - common, sum(at > common for at in examples[place].positions)),
            (len(texts[place]), len(examples[place].positions)),
        )
        for place, common in zip(order, shared, strict=True)
    }
    yield from _bounded(costs, _most_tokens(examples, batch_size), vocabulary)


def _most_tokens(examples: Sequence[Encoded], batch_size: int) -> int:
    """Tokens in a row: of so many of the longest texts, or what fits the caches."""
    return min(batch_size * max((len(one.tokens) - 1 for one in examples), default=0), _MOST_TOKENS)


def _bounded(
    costs: Mapping[int, tuple[tuple[int, int], tuple[int, int]]], most: int, vocabulary: int
) -> Iterator[list[int]]:
    """Places in batches whose tokens and logits stay in bounds; at least one in each.

    Args:
        costs: Place -> tokens, and how many of them are predicted: beside the place before it, and at a batch's start.
        most: Tokens of a batch.
        vocabulary: Logits of each that is predicted.
    """
    batch: list[int] = []
    tokens = predicted = 0
    for place, (beside, first) in costs.items():
        if batch and (tokens + beside[0] > most or (predicted + beside[1]) * vocabulary > _MOST_LOGITS):
            yield batch
            batch, tokens, predicted = [], 0, 0
        cost = beside if batch else first
        batch.append(place)
        tokens, predicted = tokens + cost[0], predicted + cost[1]
    if batch:
        yield batch


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
