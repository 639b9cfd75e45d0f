"""What a store knows of instructions, read when somebody asks for it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping
from typing import TypeVar

__all__ = ["StoredFacts", "known_of"]

Value = TypeVar("Value", covariant=True)


class StoredFacts(Mapping[str, Value]):
    """Instruction -> vector or tags, as a mapping whose content stays on disk; a `Memory` accepts it as any mapping.

    Looking one up may read all of it. Whoever needs a few, or may not need any, asks `known_of`.
    """

    @abstractmethod
    def some(self, texts: Iterable[str]) -> dict[str, Value]:
        """What is known of some instructions, read at once; what isn't known is absent."""


def known_of(facts: Mapping[str, Value], texts: Iterable[str]) -> dict[str, Value]:
    """What a mapping, in memory or stored, holds of some instructions."""
    if isinstance(facts, StoredFacts):
        return facts.some(texts)
    return {text: facts[text] for text in texts if text in facts}
