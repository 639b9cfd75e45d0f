"""Who writes inputs for a strategy: the model being taught, the model as it came, or another language model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from inscl.contract import Example, Question
from inscl.contract.seams import Learner, Progress
from inscl.llm.questions import Questions
from inscl.llm.settings import LLMSettings
from inscl.refining.codec_questions import ENCODE, VERSION
from inscl.refining.llm_refiner import LLMCalls

__all__ = ["Encoder", "Writer", "by_encoder", "by_language_model", "by_learner"]

Writer = Callable[[Sequence[Question], int], list[str]]
"""Answers questions in at most so many tokens each."""

Encoder = Callable[[Sequence[Example]], list[tuple[str, tuple[str, ...]]]]
"""From examples to use cases, each with its skills; without those of which nothing usable was said."""

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


def by_encoder(chosen: str | Mapping[str, Any], progress: Progress) -> Encoder:
    """A language model names the use case and the skills of examples, as the refiner `codec` has it do.

    It is told their instructions and inputs, each once, ever: the answers are those of `codec`.

    Args:
        chosen: The name of the model, or the fields of `LLMSettings`.
        progress: Told the estimate first, then every answer.

    Raises:
        ConfigError: A field can't be used. Whether the model can be asked shows when it is.
    """
    settings = LLMSettings.read(chosen, "encoder")

    def encode(examples: Sequence[Example]) -> list[tuple[str, tuple[str, ...]]]:
        calls = LLMCalls(settings, refiner="codec", version=VERSION, progress=progress)
        rows = [{"instruction": example.instruction, "input": example.input} for example in examples]
        return list(dict.fromkeys(one.value for one in calls.ask(ENCODE, rows) if one.value is not None))

    return encode


def _text(answer: str) -> str:
    if not answer.strip():
        raise ValueError("it is empty")
    return answer.strip()
