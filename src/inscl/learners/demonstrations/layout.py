"""How demonstrations and a question become one conversation, and how many of them fit."""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from inscl.contract import Answer, Example, Question
from inscl.contract.example import Turn
from inscl.learners.demonstrations import urial
from inscl.models.prompts import PromptEncoder

__all__ = ["ANSWERS", "ORDERS", "Layout"]

ORDERS = ("best_first", "best_last", "shuffled")
ANSWERS = ("right", "shuffled", "none")

_QUERY, _ANSWER = "# Query:", "# Answer:"
_TAIL = 24
"""Tokens at the end of an answer in which a new marker stands whole, even in bytes."""


@dataclass(frozen=True)
class Layout:
    """The form of a prompt with demonstrations. They stand before the question, so that prompts share them.

    In a chat template a demonstration is an exchange of turns. In the plain form each of its texts is a block under a
    marker, ``# Query:`` or ``# Answer:`` (the blocks of the paper's released code), and an answer ends where the model
    begins the next block.

    Attributes:
        encoder: The model's template, and its tokens.
        order: ``best_first``; ``best_last``, next to the question; or ``shuffled`` by the seed.
        answers: ``right``; ``shuffled``: each demonstration has the next one's answer, and the last the first's;
            ``none``: only the questions of the demonstrations are shown.
        urial: Whether rules and three fixed examples stand in the prompt, the examples after the demonstrations.
        seed: Decides ``shuffled`` orders.
        places: By id, when each demonstration was learned; where it isn't empty, they stand in this order.
    """

    encoder: PromptEncoder
    order: str = "best_first"
    answers: str = "right"
    urial: bool = False
    seed: int = 0
    places: Mapping[str, int] = field(default_factory=dict, hash=False)

    def shown(self, demonstrations: Sequence[Example], question: Question, room: int) -> tuple[Question, int]:
        """A question with as many demonstrations as fit.

        Args:
            demonstrations: Best first; the last ones are left out where they don't fit.
            question: The question.
            room: Most tokens of the prompt.

        Returns:
            The question with them in its turns, and how many they are. A question that doesn't fit by itself gets none
            and is left to be shortened.
        """
        answered = self._answered(demonstrations)

        def conversation(count: int) -> tuple[Turn, ...]:
            return self._conversation(answered[:count], question)

        count = len(answered)
        if self.encoder.size(conversation(count)) > room:
            sizes = range(1, count + 1)
            count = bisect_right(sizes, room, key=lambda shown: self.encoder.size(conversation(shown)))
        return replace(question, turns=conversation(count)), count

    def size(self, demonstration: Example) -> int:
        """Tokens that a demonstration adds to a prompt."""
        with_it = self._conversation([(demonstration, demonstration.output)], Question("?"))
        return self.encoder.size(with_it) - self.encoder.size(self._conversation([], Question("?")))

    def over(self, answer: list[int]) -> bool:
        """Whether the model has begun another block at the end of an answer so far, so that `ended` will cut it."""
        if not self._has_blocks:
            return False
        tail = self.encoder.tokenizer.decode(
            answer[-_TAIL:], skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
        begun = tail if len(answer) > _TAIL else f"\n{tail.lstrip()}"
        return f"\n{_QUERY}" in begun or f"\n{_ANSWER}" in begun

    @property
    def _has_blocks(self) -> bool:
        return self.encoder.form != "chat" or self.answers == "none"

    def ended(self, answer: Answer, longest: int | None = None) -> Answer:
        """An answer up to where the model went on with a block of its own.

        Args:
            answer: As it was written.
            longest: Most tokens that it may have. Where it has as many, it may stop within the next block's marker, so
                a last line that is the beginning of one goes too.
        """
        if not self._has_blocks:
            return answer
        markers = (_QUERY, _ANSWER)
        ends = [place for marker in markers if (place := f"\n{answer.text}".find(f"\n{marker}")) >= 0]
        if not ends and longest is not None and (answer.answer_tokens or 0) >= longest:
            begun = answer.text.rpartition("\n")[2]
            if begun and any(marker.startswith(begun) for marker in markers):
                ends = [len(answer.text) - len(begun)]
        return replace(answer, text=answer.text[: min(ends)].strip()) if ends else answer

    def _answered(self, demonstrations: Sequence[Example]) -> list[tuple[Example, str]]:
        """Each demonstration with the answer that it is shown with."""
        right = [example.output for example in demonstrations]
        shown = [*right[1:], *right[:1]] if self.answers == "shuffled" else right
        return list(zip(demonstrations, shown, strict=True))

    def _conversation(self, answered: Sequence[tuple[Example, str]], question: Question) -> tuple[Turn, ...]:
        arranged = list(answered)
        if self.places:
            arranged.sort(key=lambda pair: self.places[pair[0].id])
        elif self.order == "best_last":
            arranged.reverse()
        elif self.order == "shuffled":
            arranged.sort(key=lambda pair: hashlib.sha256(f"{self.seed}/{pair[0].id}".encode()).digest())
        system = [turn.content for turn in question.conversation if turn.role == "system"]
        exchanges = [self._exchange(example, answer, system) for example, answer in arranged]
        always = [self._exchange(example, example.output, system) for example in urial.EXAMPLES if self.urial]
        after = [turn for exchange in always for turn in exchange]
        after += [turn for turn in question.conversation if turn.role != "system"]
        shown = [turn for exchange in exchanges for turn in exchange]
        turns = self._unanswered(shown, after) if self.answers == "none" and shown else [*shown, *after]
        rules = [urial.RULES] if self.urial else []
        first = [Turn("system", "\n\n".join([*rules, *system]))] if rules or system else []
        return (*first, *map(self._marked, turns))

    def _exchange(self, example: Example, answer: str, system: Sequence[str]) -> list[Turn]:
        """A demonstration as turns; what its system says, unless the question's does, stands before what it asks."""
        said = [turn.content for turn in example.turns if turn.role == "system" and turn.content not in system]
        turns = [Turn(turn.role, turn.content) for turn in Question.of(example).conversation if turn.role != "system"]
        if said:
            turns[0] = Turn(turns[0].role, "\n\n".join([*said, turns[0].content]))
        return [*turns, Turn("assistant", answer)]

    def _unanswered(self, shown: Sequence[Turn], after: Sequence[Turn]) -> list[Turn]:
        """The questions of demonstrations as blocks of the turn that follows: roles must alternate."""
        texts = [*(turn.content for turn in shown if turn.role == "user"), after[0].content]
        blocks = f"\n\n{_QUERY}\n\n".join(texts)
        return [Turn("user", blocks if self.encoder.form == "plain" else f"{_QUERY}\n\n{blocks}"), *after[1:]]

    def _marked(self, turn: Turn) -> Turn:
        """A turn as a block, where the template is the plain form; the marker of an answer stands before it."""
        if self.encoder.form == "chat" or turn.role != "user":
            return turn
        return Turn("user", f"{_QUERY}\n\n{turn.content}\n\n{_ANSWER}")
