"""Conversations and examples to token ids: the turns in the model's own form, the answer, and the end of sequence.

Each turn, the frame around it and the answer are tokenised apart and then joined, so that a prompt has the same tokens
in training and in generation. Text from data can't forge control tokens: ``<|im_end|>`` inside an input stays five
ordinary pieces.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from inscl.contract import Example, Question
from inscl.contract.encodable import encodable
from inscl.contract.example import Turn
from inscl.errors import ConfigError, DataError, ModelError, Problem, nearest

__all__ = ["FORMS", "Encoded", "PromptEncoder", "Rendered"]

FORMS = ("chat", "plain")
_MARK = "INSCLCONTENTMARK"
_LENGTHS = 4096
"""Texts whose numbers of tokens are remembered."""


@dataclass(frozen=True)
class Rendered:
    """A conversation as token ids, up to where the answer begins.

    Attributes:
        tokens: Token ids.
        truncated: Whether anything was left out to fit.
        dropped: How many of its turns were left out whole.
        learned: Spans of `tokens`, each from its first to before its last, that an example's earlier answers take which
            are to be learned; the token that ends a turn is part of it.
    """

    tokens: list[int]
    truncated: bool = False
    dropped: int = 0
    learned: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True)
class Encoded:
    """One training example as token ids.

    Attributes:
        tokens: Prompt, answer and end of sequence.
        prompt_length: How many of `tokens` are the prompt; the others carry loss.
        truncated: Whether the prompt was shortened to fit.
        dropped: How many turns of a conversation were left out for that.
        learned: Spans of the prompt that carry loss too: earlier answers of a conversation; see `Rendered`.
    """

    tokens: list[int]
    prompt_length: int
    truncated: bool = False
    dropped: int = 0
    learned: tuple[tuple[int, int], ...] = ()

    @property
    def positions(self) -> list[int]:
        """Where in `tokens` those stand that carry loss, ascending; never the first, which nothing predicts."""
        spans = (*self.learned, (self.prompt_length, len(self.tokens)))
        return [place for start, end in spans for place in range(max(start, 1), end)]


class PromptEncoder:
    """Turns conversations and examples into token ids.

    Args:
        tokenizer: A transformers tokenizer with an end-of-sequence token.
        form: ``chat`` is the model's own chat template around the turns, ending where the assistant begins. ``plain``
            is each turn and a blank line (InsCL's released code: instruction, blank line, input), and is also what
            ``chat`` means for a model without a template.
        max_length: Most tokens of prompt, answer and end of sequence together.

    Raises:
        ConfigError: `form` is unknown.
        ModelError: The tokenizer has no end of sequence, or its template hides the user's message.
    """

    def __init__(self, tokenizer: Any, form: str = "chat", max_length: int = 1024) -> None:
        if form not in FORMS:
            raise ConfigError([Problem("model.prompt", f"no form named {form!r}{nearest(form, FORMS)}")])
        if tokenizer.eos_token_id is None:
            raise ModelError("the model's tokenizer has no end-of-sequence token, so an answer could never end")
        self.tokenizer, self.max_length = tokenizer, max_length
        self.form = form if tokenizer.chat_template else "plain"
        self._frames: dict[tuple[str, ...], list[list[int]]] = {}
        # Demonstrations stand in prompt after prompt.
        self._length = lru_cache(_LENGTHS)(lambda text: len(self._ids(text)))
        self._frame(("user",))

    def prompt(self, conversation: Sequence[Turn], room: int | None = None) -> Rendered:
        """A conversation in at most `room` tokens (default: `max_length` and no answer).

        What doesn't fit is left out: first the oldest turns after the system's, in whole exchanges; then out of the
        middle of what is longest, for instructions stand first and questions often last.

        Raises:
            ModelError: The model's chat template can't show these turns.
        """
        room = self.max_length if room is None else room
        turns = list(conversation)
        contents = [self._ids(turn.content) for turn in turns]
        while self._size(turns, contents) > room and (oldest := _oldest(turns)):
            for _ in range(oldest[1] - oldest[0]):
                del turns[oldest[0]], contents[oldest[0]]
        dropped = len(conversation) - len(turns)
        excess = self._size(turns, contents) - room
        if excess > 0:
            contents = _shortened(contents, max(sum(map(len, contents)) - excess, 0))
        tokens, learned = self._joined(turns, contents)
        return Rendered(tokens, dropped > 0 or excess > 0, dropped, learned)

    def asked(self, question: Question, room: int | None = None) -> Rendered:
        """The conversation of a question; see `prompt`.

        Raises:
            DataError: It has pictures, and the model reads text alone.
        """
        if question.images:
            raise DataError(
                f"the question {question.prompt[:60]!r} has images, and this model reads text alone: leave such "
                "examples out, or choose a model that takes images"
            )
        return self.prompt(question.conversation, room)

    def encode(self, example: Example) -> Encoded:
        """Token ids of an example: as much of the prompt as fits beside its whole answer.

        Raises:
            DataError: The answer alone is longer than `max_length`.
            ModelError: The model's chat template can't show its turns.
        """
        return self.answered(Question.of(example), example.output, example.source or example.task)

    def answered(self, question: Question, answer: str, place: str = "") -> Encoded:
        """Token ids of a question and an answer to it; see `encode`, which has the errors.

        Args:
            question: Its conversation is what stands before the answer.
            answer: What is said.
            place: Where it came from, for messages.
        """
        said = self.answer(answer)
        room = self.room(question, len(said), answer, place)
        before = self.asked(question, room)
        return Encoded(before.tokens + said, len(before.tokens), before.truncated, before.dropped, before.learned)

    def room(self, question: Question, length: int, answer: str, place: str = "") -> int:
        """Tokens that an answer of `length` tokens leaves for its question.

        Raises:
            DataError: Not even the frame of the question's turns would fit.
        """
        room, frame = self.max_length - length, self.least(question.conversation)
        if room <= frame:
            where = f"{question.id or '?'} ({place or question.task or '?'}, {answer[:40]!r}...)"
            raise DataError(
                f"the answer of example {where} has {length} tokens, too many for max_length {self.max_length}; raise "
                f"training.max_length or shorten it: what stands around the question takes {frame} tokens"
            )
        return room

    def least(self, conversation: Sequence[Turn]) -> int:
        """Tokens of a conversation's frame: what stays of it in however little room, its texts left out."""
        return self._size(*_shortest(conversation))

    def answer(self, text: str) -> list[int]:
        """Token ids of an answer and the end of sequence."""
        return [*self._ids(text), self.tokenizer.eos_token_id]

    def size(self, conversation: Sequence[Turn]) -> int:
        """Tokens of a conversation up to where its answer begins, before any shortening."""
        frame = self._frame(tuple(turn.role for turn in conversation))
        return sum(map(len, frame)) + sum(self._length(turn.content) for turn in conversation)

    def count_tokens(self, example: Example) -> int:
        """Tokens of prompt, answer and end of sequence, before any shortening."""
        return self.size(Question.of(example).conversation) + len(self.answer(example.output))

    def decode(self, answers: Sequence[Sequence[int]]) -> list[str]:
        """Texts of generated ids, without control tokens and surrounding white space."""
        texts = self.tokenizer.batch_decode(answers, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return [text.strip() for text in texts]

    def frame(self) -> tuple[str, str]:
        """The template's text before and after the user's message; in the plain form nothing and a blank line."""
        before, after = self._around(("user",))
        return before, after

    def _around(self, roles: Sequence[str]) -> list[str]:
        """The template's texts before, between and after turns of these roles: one more than there are turns."""
        if self.form == "plain":
            return ["", *["\n\n"] * len(roles)]
        marks = [f"{_MARK}{number}END" for number in range(len(roles))]
        messages = [{"role": role, "content": mark} for role, mark in zip(roles, marks, strict=True)]
        try:
            rest = self.tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        except Exception as error:  # what templates raise is theirs: jinja2's own errors, or any Python error
            said = " ".join(str(error).split())
            shown = ", ".join(roles)
            raise ModelError(
                f"the model's chat template refuses a conversation of {shown}: {said}; set model.prompt: plain"
            ) from error
        texts = []
        for role, mark in zip(roles, marks, strict=True):
            if rest.count(mark) != 1:
                raise ModelError(f"the chat template doesn't show the {role}'s message once; set model.prompt: plain")
            before, rest = rest.split(mark)
            texts.append(before)
        return [*texts, rest]

    def _frame(self, roles: tuple[str, ...]) -> list[list[int]]:
        """`_around` as token ids."""
        if roles not in self._frames:
            frame = [self._ids(text, special=True) for text in self._around(roles)]
            if not frame[0] and self.form == "plain":
                frame[0] = self._beginning()
            self._frames[roles] = frame
        return self._frames[roles]

    def _size(self, turns: Sequence[Turn], contents: Sequence[Sequence[int]]) -> int:
        frame = self._frame(tuple(turn.role for turn in turns))
        return sum(map(len, frame)) + sum(map(len, contents))

    def _joined(
        self, turns: Sequence[Turn], contents: Sequence[Sequence[int]]
    ) -> tuple[list[int], tuple[tuple[int, int], ...]]:
        """Frame and contents in turn, and the spans of what is learned, with the end of sequence where one follows."""
        before, *after = self._frame(tuple(turn.role for turn in turns))
        tokens, learned = list(before), []
        for turn, content, follows in zip(turns, contents, after, strict=True):
            ends = int(follows[:1] == [self.tokenizer.eos_token_id])
            if turn.role == "assistant" and turn.learn:
                learned.append((len(tokens), len(tokens) + len(content) + ends))
            tokens += [*content, *follows]
        return tokens, tuple(learned)

    def _beginning(self) -> list[int]:
        """What the tokenizer itself puts first: a beginning-of-sequence token, or nothing."""
        beginning = self.tokenizer.bos_token_id
        return [beginning] if beginning is not None and self.tokenizer("").input_ids[:1] == [beginning] else []

    def _ids(self, text: str, special: bool = False) -> list[int]:
        text = encodable(text)
        ids = self.tokenizer(text, add_special_tokens=False, split_special_tokens=not special).input_ids
        return list(ids)


def _oldest(turns: Sequence[Turn]) -> tuple[int, int] | None:
    """Bounds of the oldest exchange that can go: from after the system's turns to the next of the user, if any."""
    start = next((k for k, turn in enumerate(turns) if turn.role != "system"), len(turns))
    end = next((k for k in range(start + 1, len(turns)) if turns[k].role == "user"), None)
    return None if end is None else (start, end)


def _shortest(turns: Sequence[Turn]) -> tuple[list[Turn], list[list[int]]]:
    """What stays of a conversation at the least: the system's turns and the last, without their texts."""
    kept = list(turns)
    while oldest := _oldest(kept):
        del kept[oldest[0] : oldest[1]]
    return kept, [[] for _ in kept]


def _shortened(contents: Sequence[list[int]], space: int) -> list[list[int]]:
    """The contents in `space` tokens together: all cut to one length, those that are shorter left whole."""
    cut = list(contents)
    left, waiting = space, sorted(range(len(cut)), key=lambda k: len(cut[k]))
    for rank, k in enumerate(waiting):
        share = min(len(cut[k]), left // (len(cut) - rank))
        left -= share
        head = share - share // 2
        cut[k] = cut[k][:head] + cut[k][len(cut[k]) - (share - head) :] if share < len(cut[k]) else cut[k]
    return cut
