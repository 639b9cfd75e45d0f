"""Answers of one word, yes or no."""

from __future__ import annotations

import re

__all__ = ["REPEAT", "REQUEST", "TOKENS", "yes_or_no"]

REPEAT = "That can't be used: {reason}. Please answer with one word, yes or no."
"""What is said to an answer that is neither; see `inscl.llm.questions.Questions`."""

REQUEST = {"temperature": 0, "max_tokens": 16}
"""Fields of the request body that such a question asks for."""

TOKENS = 4
"""Tokens of a usual answer: one word, and what stands around it."""


def yes_or_no(answer: str) -> bool:
    """The only one of the two words that occurs.

    Raises:
        ValueError: Neither or both do.
    """
    words = set(re.findall(r"[a-z]+", answer.lower())) & {"yes", "no"}
    if len(words) != 1:
        raise ValueError("it says neither yes nor no" if not words else "it says both yes and no")
    return words == {"yes"}
