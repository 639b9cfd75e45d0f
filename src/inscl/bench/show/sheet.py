"""One table as plain text cells, before any format escapes it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from inscl.reports.text import value

__all__ = ["Section", "Sheet", "signed"]


@dataclass(frozen=True)
class Sheet:
    """One table: the first column is text, the others stand to the right; notes go below."""

    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = field(default_factory=list)


@dataclass(frozen=True)
class Section:
    """The sheets of one model and budget, and what is to be known before reading them."""

    title: str
    statements: Sequence[str]
    sheets: Sequence[Sheet]


def signed(number: float | None, digits: int = 1) -> str:
    """A number with its sign, also a plus; a dash for None."""
    text = value(number, digits)
    return f"+{text}" if number is not None and number > 0 and text.strip("0.,") else text
