"""Who writes inputs for a strategy: the model being taught, the model as it came, or another language model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from inscl.contract import Question
from inscl.contract.seams import Learner, Progress
from inscl.llm.questions import Questions
from inscl.llm.settings import LLMSettings

__all__ = ["Writer", "by_language_model", "by_learner"]

Writer = Callable[[Sequence[Question], int], list[str]]
"""Answers questions in at most so many tokens each."""

_REQUEST = {"temperature": 0, "max_tokens": 1024}


def by_learner(make: Callable[[], Learner]) -> Writer:
    """A learner writes, which is made when it is first asked."""
    made: list[Learner] = []

    def write(questions: Sequence[Question], most: int) -> list[str]:
        if not made:
            made.append(make())
        return [answer.text for answer in made[0].answer(questions, most)]

    return write


def by_language_model(chosen: str | Mapping[str, Any], progress: Progress) -> Writer:
    """A language model writes, an endpoint or a local one; each distinct question is asked once, ever.

    A question without a usable answer gets an empty text. The limit on tokens is the model's own, since a server may
    count them otherwise: 1,024, or ``request.max_tokens``.

    Args:
        chosen: The name of the model, or the fields of `LLMSettings`.
        progress: Told the estimate first, then every answer.

    Raises:
        ConfigError: A field can't be used. Whether the model can be asked shows when it is.
    """
    settings = LLMSettings.read(chosen, "writer")

    def write(questions: Sequence[Question], most: int) -> list[str]:
        asked = Questions(
            model=settings.chat_model(_REQUEST),
            kind="writing/1",
            prompt=lambda key: key,
            parse=_text,
            encode=lambda text: text.encode(errors="surrogatepass"),
            decode=lambda value: value.decode(errors="surrogatepass"),
            repeat="That can't be used: {reason}. Write the text that was asked for, and nothing else.",
            doing="writing replay",
            remedy="try another model",
            fallback=lambda problem: "",
            progress=progress,
            **settings.asking("answers.sqlite"),
        )
        found = asked.ask([question.prompt for question in questions])
        return [found[question.prompt] for question in questions]

    return write


def _text(answer: str) -> str:
    if not answer.strip():
        raise ValueError("it is empty")
    return answer.strip()
