"""Questions whose answer is one word, yes or no."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from inscl.contract.seams import NullProgress, Progress
from inscl.llm.costs import Estimate
from inscl.llm.questions import Questions, filled
from inscl.llm.settings import LLMSettings

__all__ = ["YesOrNo", "yes_or_no"]

_REPEAT = "That can't be used: {reason}. Please answer with one word, yes or no."
_REQUEST = {"temperature": 0, "max_tokens": 16}
_TOKENS = 4  # of a usual answer: one word, and what stands around it


class YesOrNo:
    """Asks a chat model, an endpoint or a local one, about cases of a few texts; each distinct case once, ever.

    The cost is told to `progress` before anything is asked. Every answer is in the cache when the next begins, so what
    was stopped goes on where it was. An answer that is neither yes nor no is asked for once more.

    Args:
        settings: The model and how it is asked.
        kind: What is asked: part of the cache's key.
        prompt: The question; ``{name}`` in it stands for a text of the case.
        names: Of a case's texts, in their order.
        doing: What messages call the work.
        remedy: What to do when there is no usable answer.
        cache: Name of the cache file, unless the settings name another.
        progress: Told the estimate, then every answer.

    Raises:
        ConfigError: A field that only a server obeys was given for a local model.
        MissingExtraError: The package openai isn't installed.
        UserError: There is neither a key nor an address.
    """

    def __init__(
        self,
        settings: LLMSettings,
        *,
        kind: str,
        prompt: str,
        names: Sequence[str],
        doing: str,
        remedy: str,
        cache: str,
        progress: Progress | None = None,
    ) -> None:
        def asked(key: str) -> str:
            texts = json.loads(key) if key else [""] * len(names)
            return filled(prompt, dict(zip(names, texts, strict=True)))

        self._questions = Questions(
            model=settings.chat_model(_REQUEST),
            kind=kind,
            prompt=asked,
            parse=yes_or_no,
            encode=lambda said: b"yes" if said else b"no",
            decode=lambda value: value == b"yes",
            repeat=_REPEAT,
            doing=doing,
            remedy=remedy,
            answer_tokens=_TOKENS,
            progress=progress or NullProgress(),
            **settings.asking(cache),
        )

    def estimate(self, cases: Sequence[tuple[str, ...]]) -> Estimate:
        """What asking about these would take now, without what the cache holds already."""
        return self._questions.estimate([json.dumps(case) for case in cases])

    def __call__(self, cases: Sequence[tuple[str, ...]]) -> list[bool]:
        """Whether the answer about each case is yes, in the same order.

        Raises:
            EndpointError: The server is down, refuses, or answers a case twice with neither yes nor no. The answers
                that came are kept, and the same call goes on from them.
            WorkspaceError: The cache can't be written.
        """
        keys = [json.dumps(case) for case in cases]
        found = self._questions.ask(keys)
        return [found[key] for key in keys]


def yes_or_no(answer: str) -> bool:
    """The only one of the two words that occurs.

    Raises:
        ValueError: Neither or both do.
    """
    words = set(re.findall(r"[a-z]+", answer.lower())) & {"yes", "no"}
    if len(words) != 1:
        raise ValueError("it says neither yes nor no" if not words else "it says both yes and no")
    return words == {"yes"}
