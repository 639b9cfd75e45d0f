"""Questions with pictures to token ids: a picture's tokens stand where its marker is."""

from __future__ import annotations

from typing import Any

from inscl.contract import Example, Question
from inscl.data.markers import MARKER, with_markers
from inscl.errors import DataError
from inscl.models.picture_tokens import PictureTokens
from inscl.models.prompts import PromptEncoder, Rendered

__all__ = ["PicturePromptEncoder"]


class PicturePromptEncoder(PromptEncoder):
    """As `PromptEncoder`, which has the arguments; questions with pictures are never shortened.

    Args:
        tokenizer: The model's.
        form: ``chat`` or ``plain``.
        max_length: Most tokens of prompt, answer and end of sequence together, those of pictures included.
        pictures: What stands for pictures.
    """

    def __init__(self, tokenizer: Any, form: str, max_length: int, pictures: PictureTokens) -> None:
        super().__init__(tokenizer, form, max_length)
        self.pictures = pictures

    def asked(self, question: Question, room: int | None = None) -> Rendered:
        """The conversation of a question with its pictures.

        Raises:
            DataError: It has pictures and doesn't fit, or more or fewer markers than pictures.
        """
        if not question.images:
            return self.prompt(question.conversation, room)
        tokens, learned = self._with_pictures(question)
        most = self.max_length if room is None else room
        if len(tokens) > most:
            raise DataError(
                f"the question {question.id or question.prompt[:60]!r} ({question.task or '?'}) has {len(tokens)} "
                f"tokens with its pictures, and there is room for {most}: raise training.max_length, or use smaller "
                "pictures. Questions with pictures are not shortened"
            )
        return Rendered(tokens, learned=learned)

    def room(self, question: Question, length: int, answer: str, place: str = "") -> int:
        """Tokens that an answer of `length` tokens leaves for its question; errors as in `PromptEncoder` or `asked`."""
        return self.max_length - length if question.images else super().room(question, length, answer, place)

    def count_tokens(self, example: Example) -> int:
        """Tokens of prompt, pictures, answer and end of sequence, before any shortening."""
        if not example.images:
            return super().count_tokens(example)
        return len(self._with_pictures(Question.of(example))[0]) + len(self.answer(example.output))

    def _with_pictures(self, question: Question) -> tuple[list[int], tuple[tuple[int, int], ...]]:
        turns = with_markers(question.conversation, len(question.images))
        left = iter(question.images)
        markers = sum(turn.content.count(MARKER) for turn in turns if turn.role == "user")
        if markers != len(question.images):
            raise DataError(
                f"the question {question.prompt[:60]!r} has {len(question.images)} picture(s) and {markers} "
                f"{MARKER}: write one for each picture, or none"
            )
        contents = []
        for turn in turns:
            first, *more = turn.content.split(MARKER) if turn.role == "user" else [turn.content]
            content = self._ids(first)
            for text in more:
                content += [*self.pictures.of(next(left)), *self._ids(text)]
            contents.append(content)
        return self._joined(turns, contents)
