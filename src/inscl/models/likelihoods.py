"""Likelihoods of given answers: teacher-forced, one forward pass per batch.

Where the model allows it (`inscl.models.packed_reading`), what texts begin with alike is read once: an instruction for
all its answers, and a question for all its options (`inscl.models.option_likelihoods`). Where texts also go on alike,
so do their predictions: these are projected onto the vocabulary once. Prompts that were kept when they were answered
(`inscl.models.kept_prompts`) aren't read again at all.
"""

from __future__ import annotations

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

__all__ = [
    "AnswerStates",
    "Use",
    "answer_states",
    "batches",
    "flat",
    "here",
    "log_likelihoods",
    "of_answers",
    "scored_answers",
    "vocabulary_of",
]

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
    return of_answers(model, examples, batch_size, pad_token, scored_answers, kept)


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
        logits, hidden = both.split([vocabulary_of(model), both.shape[1] - vocabulary_of(model)], dim=1)
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
    for places in _bounded(costs, _most_tokens(examples, batch_size), vocabulary_of(model)):
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
    for places in _alike_batches(examples, batch_size, vocabulary_of(model)):
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
        for places in batches(order, lengths, batch_size, vocabulary_of(model)):
            rest = [
                Encoded(examples[k].tokens[group.shared :], examples[k].prompt_length - group.shared) for k in places
            ]
            batch = pad(rest, pad_token, after=group.shared)
            if group.shared:
                batch |= {"past_key_values": prefix.cache(len(rest)), "use_cache": True}
            labels = batch.pop("labels")[:, 1:].to(model.device)
            logits = model(**here(understood(model, batch), model)).logits[:, -labels.shape[1] :]
            yield places, use(*flat(logits, labels))


def flat(logits: Any, labels: Any) -> tuple[Any, slice, Any, list[int]]:
    """What `Use` gets, of logits of shape (n, k, vocabulary) and labels (n, k), -100 where nothing is predicted."""
    counted = labels != IGNORED
    return logits[counted], slice(None), labels[counted], counted.sum(1).tolist()


def scored_answers(logits: Any, at: Any, labels: Any, counts: Sequence[int]) -> list[LogLikelihood]:
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


def batches(order: Sequence[int], lengths: Sequence[int], batch_size: int, vocabulary: int) -> Iterator[list[int]]:
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


def vocabulary_of(model: Any) -> int:
    """The number of logits at each place."""
    return int(model.get_output_embeddings().weight.shape[0])


def here(batch: dict[str, Any], model: Any) -> dict[str, Any]:
    """A batch on the device of the model."""
    return {name: value.to(model.device) if hasattr(value, "to") else value for name, value in batch.items()}
