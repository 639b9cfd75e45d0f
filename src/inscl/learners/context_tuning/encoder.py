"""Prompts that begin with a context: how demonstrations become tokens with roles, and questions stand behind them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from inscl.contract import Example, Question
from inscl.contract.example import Turn
from inscl.errors import DataError
from inscl.learners.asking import Asking
from inscl.learners.context_tuning.context import INPUT, INPUT_TEMPLATE, LABEL, OUTPUT_TEMPLATE, SEPARATOR
from inscl.models.prompts import PromptEncoder, Rendered

__all__ = ["ContextAsking", "ContextEncoder"]


class ContextEncoder(PromptEncoder):
    """A `PromptEncoder` whose prompts begin with a context.

    The context stands behind what the template puts before the first question. What a system says stands before what
    the user asks, so that every prompt begins alike.

    Args:
        tokenizer: See `PromptEncoder`.
        form: ``chat`` or ``plain``.
        max_length: Most tokens of context, prompt, answer and end of sequence together.
        context: Token ids.
    """

    def __init__(self, tokenizer: Any, form: str, max_length: int, context: Sequence[int] = ()) -> None:
        self.context: list[int] = []
        super().__init__(tokenizer, form, max_length)
        self.context = list(context)
        self._frames.clear()

    @property
    def beginning(self) -> list[int]:
        """The tokens that every prompt begins with: the template's first, then the context."""
        return list(self._frame(("user",))[0])

    def demonstration(self, example: Example) -> list[tuple[int, int]]:
        """An example as part of a context: each token with its role, up to where the next question begins.

        In the plain form the end of sequence separates demonstrations. In a chat template it is what ends a turn.
        """
        turns = [*_without_system(Question.of(example).conversation), Turn("assistant", example.output)]
        _, *frame = PromptEncoder._frame(self, (*(turn.role for turn in turns), "user"))
        end = self.tokenizer.eos_token_id
        after = frame[len(turns) - 1]
        if self.form == "plain":
            after = [end]
        ends = int(after[:1] == [end])
        found: list[tuple[int, int]] = []
        for number, turn in enumerate(turns[:-1]):
            found += [(token, INPUT) for token in self._ids(turn.content)]
            role = OUTPUT_TEMPLATE if number == len(turns) - 2 else INPUT_TEMPLATE
            found += [(token, role) for token in frame[number]]
        found += [(token, LABEL) for token in self._ids(example.output)]
        found += [(token, SEPARATOR) for token in after[:ends]]
        return [*found, *((token, INPUT_TEMPLATE) for token in after[ends:])]

    def prompt(self, conversation: Sequence[Turn], room: int | None = None) -> Rendered:
        """A conversation behind the context, in at most `room` tokens of both; see `PromptEncoder.prompt`."""
        return super().prompt(_without_system(conversation), room)

    def size(self, conversation: Sequence[Turn]) -> int:
        """Tokens of the context and a conversation, before any shortening."""
        return super().size(_without_system(conversation))

    def least(self, conversation: Sequence[Turn]) -> int:
        """Tokens of the context and of a conversation's frame, which stay in however little room."""
        return super().least(_without_system(conversation))

    def room(self, question: Question, length: int, answer: str, place: str = "") -> int:
        """Tokens that an answer leaves for context and question.

        Raises:
            DataError: Not even the frame of the question's turns would fit.
        """
        try:
            return super().room(question, length, answer, place)
        except DataError as error:
            if not self.context:
                raise
            said = f"{error}; {len(self.context)} of those tokens are the context of its task"
            raise DataError(f"{said}, so lowering training.params.k before it is learned helps too") from error

    def _frame(self, roles: tuple[str, ...]) -> list[list[int]]:
        first, *rest = super()._frame(roles)
        return [[*first, *self.context], *rest]


@dataclass
class ContextAsking(Asking):
    """`Asking` with a context before every question.

    Attributes:
        context: Token ids.
    """

    context: Sequence[int] = ()

    @cached_property
    def encoder(self) -> ContextEncoder:
        """How prompts and answers become tokens."""
        return ContextEncoder(self.model.tokenizer, self.prompt, self.max_length, self.context)

    @property
    def taken(self) -> int:
        """Tokens of the context."""
        return len(self.context)


def _without_system(conversation: Sequence[Turn]) -> tuple[Turn, ...]:
    """The turns, with what a system says before what the user asks."""
    said = [turn.content for turn in conversation if turn.role == "system"]
    turns = [turn for turn in conversation if turn.role != "system"]
    if said and turns:
        turns[0] = replace(turns[0], content="\n\n".join([*said, turns[0].content]))
    return tuple(turns or (Turn("user", "\n\n".join(said)),))
