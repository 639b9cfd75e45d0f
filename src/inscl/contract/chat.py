"""The protocol of a language model that serves as a tool: it answers one conversation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

__all__ = ["ChatModel", "Completion", "Messages"]

Messages = Sequence[Mapping[str, str]]
"""Turns of a conversation: mappings of ``role`` and ``content``."""


@dataclass(frozen=True)
class Completion:
    """An answer.

    Attributes:
        text: What was said.
        log_probabilities: Natural logarithm of the probability of each of its tokens; None where they aren't known.
        tokens: How many tokens were read and written; None where that isn't known.
    """

    text: str
    log_probabilities: tuple[float, ...] | None = None
    tokens: tuple[int, int] | None = None


class ChatModel(Protocol):
    """A model behind a server, or one in this process. Taggers, judges and refiners are built on it.

    It is a context manager: connections are open, or weights loaded, inside the block only.
    """

    @property
    def name(self) -> str:
        """What messages call it."""
        ...

    @property
    def fingerprint(self) -> str:
        """Model and everything of the request that decides an answer; not the address."""
        ...

    def complete(self, messages: Messages) -> Completion:
        """Answer a conversation; may be called from several threads.

        Raises:
            EndpointError: No answer came, for good.
        """
        ...

    def give_up(self) -> None:
        """Make this the last try of every question that is under way."""
        ...

    def __enter__(self) -> ChatModel:
        """Open what is needed."""
        ...

    def __exit__(self, *error: object) -> None:
        """Close it."""
        ...
