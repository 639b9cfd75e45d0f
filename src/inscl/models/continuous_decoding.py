"""Greedy answers, where the next prompts are read as soon as earlier answers have ended.

A pass of a few tokens takes about as long as one of fifty, since most of it is reading the weights. So passes are few:
each takes the next token of every answer that is being written, and new prompts join it as soon as there is room for
several. They are divided among the threads; a pass without new prompts is too small for that.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from inscl.models.held_states import HeldText, read_on
from inscl.models.kept_prompts import KeptPrompts
from inscl.models.packed_attention import packed_attention
from inscl.models.shared_packing import alike, alphabetical
from inscl.models.threads import hooked, in_parallel

if TYPE_CHECKING:
    from transformers import LogitsProcessor

__all__ = ["Ending", "decode_continuously"]


@dataclass(frozen=True)
class Ending:
    """Where an answer ends.

    Attributes:
        longest: Tokens after which it is cut, at least 1.
        tokens: Any of these ends it and isn't part of it.
        over: Whether an answer so far ends here, its last token included.
    """

    longest: int
    tokens: frozenset[int]
    over: Callable[[list[int]], bool]

    def goes_on(self, answer: list[int], token: int) -> bool:
        """Add what was said to an answer, unless that ended it; whether more is to be said."""
        if token in self.tokens:
            return False
        answer.append(token)
        return not self.over(answer) and len(answer) < self.longest


def decode_continuously(
    model: Any,
    prompts: Sequence[Sequence[int]],
    ending: Ending,
    most: int,
    processors: Sequence[LogitsProcessor] = (),
    pad_token: int = 0,
    kept: KeptPrompts | None = None,
) -> list[list[int]]:
    """The most likely continuation of each prompt.

    Args:
        model: One that `inscl.models.packed_reading.reads_packed`; no gradients may be wanted.
        prompts: Token ids of each.
        ending: When an answer ends.
        most: Answers that are being written at a time. New prompts join when a quarter of so many have ended.
        processors: transformers' hooks, given the tokens so far, padded on the left, and the logits.
        pad_token: What fills the left for `processors`.
        kept: Where the prompts are kept for whoever scores answers to them later.

    Returns:
        Token ids of each answer, in the order of `prompts`.
    """
    answers: list[list[int]] = [[] for _ in prompts]
    waiting = deque(alphabetical(prompts))
    going: list[tuple[int, HeldText]] = []
    last: HeldText | None = None
    with packed_attention(model):
        while waiting or going:
            parts = [going]
            if waiting and (not going or most - len(going) >= min(len(waiting), max(1, most // 4))):
                new = [waiting.popleft() for _ in range(min(len(waiting), most - len(going)))]
                parts = _divided(model, prompts, new, ending.longest, last)
                last = parts[-1][-1][1]
                for number, row in enumerate(going):
                    parts[number % len(parts)].append(row)
            found = in_parallel([partial(read_on, model, [text for _, text in part]) for part in parts])
            going = []
            for part, logits in zip(parts, found, strict=True):
                for processor in processors:
                    logits = processor(_so_far([text.tokens for _, text in part], pad_token), logits)
                for (place, text), token in zip(part, logits.argmax(-1).tolist(), strict=True):
                    if ending.goes_on(answers[place], token):
                        text.tokens.append(token)
                        going.append((place, text))
                    elif kept is not None:
                        kept.keep(text)
    return answers


def _divided(
    model: Any, prompts: Sequence[Sequence[int]], new: Sequence[int], longest: int, last: HeldText | None
) -> list[list[tuple[int, HeldText]]]:
    """Prompts that are new, in a part for each thread: each begins like the one before it, or like `last`, read before.

    Args:
        model: What reads them.
        prompts: Token ids of all.
        new: Places of those that are new, in lexicographic order.
        longest: Tokens of an answer.
        last: The prompt that was read last.
    """
    import torch

    # What a hook keeps between two calls would be mixed up among threads.
    runs = alike([prompts[place] for place in new], 1 if hooked(model) else torch.get_num_threads())
    parts = []
    for run in runs:
        before, part = last, []
        for place in (new[number] for number in run):
            before = HeldText.after(before, prompts[place], len(prompts[place]) + longest)
            part.append((place, before))
        parts.append(part)
    return parts


def _so_far(texts: Sequence[Sequence[int]], pad_token: int) -> Any:
    """Tokens of texts, padded on the left, shape (n, longest)."""
    import torch

    longest = max(map(len, texts))
    return torch.tensor([[pad_token] * (longest - len(text)) + list(text) for text in texts])
