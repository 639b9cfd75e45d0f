"""The outcome of an example in a refiner: kept, replaced, added, or rejected with a reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from inscl.contract.example import Example

__all__ = ["Made", "Outcome", "Refined", "parents_of"]

Outcome = Literal["kept", "replaced", "added", "rejected"]


@dataclass(frozen=True)
class Made:
    """An example that a refiner made.

    Attributes:
        example: The new example. Its provenance is filled in from here; its task is that of its parent.
        how: What was done, in a few words.
        parents: Ids of further examples that it was made from, beside the one that it is yielded for; they are among
            those that the refiner was given.
        facts: What else its provenance says: plain JSON values.
    """

    example: Example
    how: str
    parents: tuple[str, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Refined:
    """The outcome of one example; created by `keep`, `replace`, `add` or `reject`.

    Attributes:
        original: The example as it was given.
        outcome: ``kept``; ``replaced`` by what was made; ``added``: kept, and what was made stands after it; or
            ``rejected``.
        made: The new examples, in the order in which they stand.
        reason: Why it was rejected, as a line to be read; or why it stays as it is although it was to be improved, as
            after an answer of a language model that can't be used; or why less was added to it than was to be.
        facts: What belongs to the reason, in plain JSON values: a score, the row that it duplicates. A reason that
            quotes another example needs that example's id here, so that the quotation goes when that example is
            erased.
    """

    original: Example
    outcome: Outcome
    made: tuple[Made, ...] = ()
    reason: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def keep(cls, original: Example, reason: str = "", **facts: Any) -> Refined:
        """It stays as it is; a reason says why nothing could be made of it."""
        return cls(original, "kept", (), reason, facts)

    @classmethod
    def replace(cls, original: Example, *made: Made) -> Refined:
        """What was made takes its place."""
        return cls(original, "replaced", made)

    @classmethod
    def add(cls, original: Example, *made: Made, reason: str = "", **facts: Any) -> Refined:
        """It stays, and what was made stands after it; a reason says what could not be made besides."""
        return cls(original, "added", made, reason, facts)

    @classmethod
    def reject(cls, original: Example, reason: str, **facts: Any) -> Refined:
        """It goes, and the reason is written down."""
        return cls(original, "rejected", (), reason, facts)


def parents_of(provenance: Mapping[str, Any]) -> tuple[str, ...]:
    """Ids of all examples that one was made from: its parents and, as far as they are known, theirs."""
    parent = provenance.get("parent", ())
    named = (parent,) if isinstance(parent, str) else tuple(parent)
    return tuple(dict.fromkeys((*named, *provenance.get("ancestors", ()))))
