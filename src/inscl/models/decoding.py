"""Greedy answers to many prompts: read as earlier ones are answered, or in padded batches of similar length."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from inscl.models.batches import understood
from inscl.models.continuous_decoding import Ending, decode_continuously
from inscl.models.decoding_cache import joined, joins
from inscl.models.kept_memory import kept_memory
from inscl.models.kept_prompts import KeptPrompts
from inscl.models.packed_reading import reads_packed
from inscl.models.shared_packing import alphabetical
from inscl.models.shared_prefixes import Prefix, groups_for

if TYPE_CHECKING:
    import torch
    from transformers import LogitsProcessor

__all__ = ["generate_greedily"]

_BATCHES = 4
"""How many times as many prompts as are answered at a time make up what an interruption loses at most."""


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
    kept: KeptPrompts | None = None,
) -> list[list[int]]:
    """The most likely continuation of each prompt, token by token, with a key-value cache.

    What prompts share at their beginning is read once for all of them, where the model allows it. An answer that has
    ended costs nothing any more: the next prompt takes its place, or its row leaves the padded batch.

    Args:
        model: A causal language model of transformers, or a PEFT model around one.
        prompts: Token ids of each prompt.
        max_new_tokens: Where an answer is cut if it hasn't ended.
        batch_size: Answers that are being written at a time.
        end_tokens: Any of these ends an answer and isn't part of it.
        pad_token: What fills the left; masked, so any token will do.
        processors: transformers' hooks, called before every token: each gets the tokens so far, shape (rows, length),
            padded on the left, and the logits, shape (rows, vocabulary), and returns logits.
        advance: Told after each batch how many prompts are done.
        known: Number of a batch (of several times `batch_size`, where no prompt waits for another one's answer) -> its
            answers, from an interrupted call with the same arguments. The other batches are
            made up as if it had none, so that no answer depends on where the call was interrupted.
        keep: Given each new batch's number and answers.
        over: Whether an answer so far ends here, its last token included; asked after every token.
        kept: Where prompts that are read without padding are kept for whoever scores answers to them later.

    Returns:
        Token ids of each answer, in the order of `prompts`.
    """
    import torch

    answers: list[list[int]] = [[] for _ in prompts]
    ending, done = Ending(max_new_tokens, frozenset(end_tokens), over), 0
    with torch.inference_mode(), kept_memory():
        for number, (places, decode) in enumerate(_batches(model, prompts, batch_size, pad_token, kept)):
            found = known.get(str(number))
            if found is None or len(found) != len(places):
                found = _decode([prompts[place] for place in places], decode, ending, processors)
                keep(str(number), found)
            for place, answer in zip(places, found, strict=True):
                answers[place] = answer
            done += len(places)
            advance(done)
    return answers


Decoding = Callable[[Sequence[Sequence[int]], Ending, "Sequence[LogitsProcessor]"], list[list[int]]]
"""Answers prompts, in their order."""


def _decode(
    prompts: Sequence[Sequence[int]], decode: Decoding, ending: Ending, processors: Sequence[LogitsProcessor]
) -> list[list[int]]:
    """The answers of one batch."""
    if ending.longest < 1:
        return [[] for _ in prompts]
    return decode(prompts, ending, processors)


def _batches(
    model: Any, prompts: Sequence[Sequence[int]], size: int, pad_token: int, kept: KeptPrompts | None
) -> Iterator[tuple[list[int], Decoding]]:
    """Places of the prompts that are answered together, and how; those that begin alike are together."""
    if not reads_packed(model):
        yield from _padded_batches(model, prompts, size, pad_token)
        return
    order, together = alphabetical(prompts), _BATCHES * size
    for start in range(0, len(order), together):
        yield order[start : start + together], partial(_decode_packed, model, size, pad_token, kept)


def _decode_packed(
    model: Any,
    size: int,
    pad_token: int,
    kept: KeptPrompts | None,
    prompts: Sequence[Sequence[int]],
    ending: Ending,
    processors: Sequence[LogitsProcessor],
) -> list[list[int]]:
    """Prompts that are read without padding, as soon as there is room for them."""
    return decode_continuously(model, prompts, ending, size, processors, pad_token, kept)


@dataclass(frozen=True)
class _Read:
    """Prompts that were read together.

    Attributes:
        cache: Their keys and values, padded on the left.
        mask: Shape (rows, tokens); 0 where a row is padded.
        logits: Of what follows each, shape (rows, vocabulary).
    """

    cache: Any
    mask: torch.Tensor
    logits: torch.Tensor


def _padded_batches(
    model: Any, prompts: Sequence[Sequence[int]], size: int, pad_token: int
) -> Iterator[tuple[list[int], Decoding]]:
    """What a group shares is read once for it, but a step of decoding takes hardly longer for all than for one."""
    together = joins(model)
    places: list[int] = []
    reads: list[Callable[[], _Read]] = []
    for group in groups_for(model, prompts):
        prefix = Prefix(model, prompts[group.places[0]][: group.shared])
        for piece in group.batches(size):
            if places and (not together or len(places) + len(piece) > size):
                yield places, partial(_decode_padded, model, pad_token, reads)
                places, reads = [], []
            places += piece
            reads.append(partial(_read_padded, model, [prompts[place] for place in piece], prefix, pad_token))
    if places:
        yield places, partial(_decode_padded, model, pad_token, reads)


@dataclass
class _Rows:
    """Prompts that have been read, and what is known of each so far; all are padded on the left.

    Attributes:
        cache: Keys and values of `length` tokens a row.
        mask: Shape (rows, length); 0 where a row is padded.
        so_far: The tokens themselves, padding first, shape (rows, longest prompt).
        logits: Of what follows, shape (rows, vocabulary).
    """

    cache: Any
    mask: torch.Tensor
    so_far: torch.Tensor
    logits: torch.Tensor

    @classmethod
    def of(cls, model: Any, prompts: Sequence[Sequence[int]], read: Sequence[_Read], pad_token: int) -> _Rows:
        """Prompts with what was read of them, in their order."""
        import torch

        longest = max(one.mask.shape[1] for one in read)
        masks = [torch.nn.functional.pad(one.mask, (longest - one.mask.shape[1], 0)) for one in read]
        cache = joined([one.cache for one in read]) if joins(model) else read[0].cache
        so_far, _ = _padded(prompts, pad_token, model.device)
        return cls(cache, torch.cat(masks), so_far, torch.cat([one.logits for one in read]))

    def keep(self, going: Sequence[int]) -> None:
        """Let go of all rows but these places among them."""
        import torch

        kept = torch.tensor(going, device=self.mask.device)
        self.cache.batch_select_indices(kept)
        self.mask, self.so_far = self.mask[kept], self.so_far[kept]

    def step(self, model: Any, tokens: torch.Tensor) -> None:
        """Read one more token of each row; `tokens` of shape (rows, 1)."""
        import torch

        self.so_far = torch.cat([self.so_far, tokens], dim=1)
        self.mask = torch.cat([self.mask, self.mask.new_ones(len(tokens), 1)], dim=1)
        positions = self.mask.sum(1, keepdim=True) - 1
        self.logits = _forward(model, tokens, self.mask, positions, self.cache)


def _decode_padded(
    model: Any,
    pad_token: int,
    reads: Sequence[Callable[[], _Read]],
    prompts: Sequence[Sequence[int]],
    ending: Ending,
    processors: Sequence[LogitsProcessor],
) -> list[list[int]]:
    """The answer of each of the prompts that `reads` read, in their order."""
    rows = _Rows.of(model, prompts, [read() for read in reads], pad_token)
    answers: list[list[int]] = [[] for _ in prompts]
    alive = list(range(len(answers)))
    while True:
        logits = rows.logits
        for processor in processors:
            logits = processor(rows.so_far, logits)
        following = logits.argmax(-1)
        chosen = following.tolist()
        going = [row for row, token in enumerate(chosen) if ending.goes_on(answers[alive[row]], token)]
        if not going:
            return answers
        if len(going) < len(alive):
            rows.keep(going)
            following, alive = following[going], [alive[row] for row in going]
        rows.step(model, following[:, None])


def _read_padded(model: Any, prompts: Sequence[Sequence[int]], prefix: Prefix, pad_token: int) -> _Read:
    """Prompts that begin with `prefix`."""
    import torch

    begun = len(prefix.tokens)
    tokens, own = _padded([prompt[begun:] for prompt in prompts], pad_token, model.device)
    mask = torch.cat([own.new_ones(len(prompts), begun), own], dim=1)
    positions = (mask.cumsum(1) - 1).clamp(min=0)[:, begun:]
    cache = prefix.cache(len(prompts))
    return _Read(cache, mask, _forward(model, tokens, mask, positions, cache))


def _forward(model: Any, tokens: torch.Tensor, mask: torch.Tensor, positions: torch.Tensor, cache: Any) -> torch.Tensor:
    """The logits after the last of `tokens`, shape (rows, vocabulary); `cache` then holds them too."""
    import torch

    step = {
        "input_ids": tokens,
        "attention_mask": mask,
        "position_ids": positions,
        "past_key_values": cache,
        "use_cache": True,
        # A tensor, not the number 1: a slice would leave the last states scattered in memory, and torch then copies
        # the vocabulary matrix once a row to multiply them (57 MB each for SmolLM2).
        "logits_to_keep": torch.tensor([tokens.shape[1] - 1], device=model.device),
    }
    logits: torch.Tensor = model(**understood(model, step)).logits[:, -1]
    return logits


def _padded(prompts: Sequence[Sequence[int]], pad_token: int, device: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """Tokens of `prompts`, padded on the left, shape (rows, longest); and the mask of the same shape."""
    import torch

    longest = max(len(prompt) for prompt in prompts)
    tokens = [[pad_token] * (longest - len(prompt)) + list(prompt) for prompt in prompts]
    mask = [[0] * (longest - len(prompt)) + [1] * len(prompt) for prompt in prompts]
    return torch.tensor(tokens, device=device), torch.tensor(mask, device=device)
