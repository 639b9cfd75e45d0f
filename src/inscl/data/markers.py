"""Where pictures stand in a text: the markers ``<image>`` of LLaVA and ShareGPT."""

from __future__ import annotations

import re
from collections.abc import Sequence

from inscl.contract.example import MARKER, Turn
from inscl.data.columns import RowProblem

__all__ = ["MARKER", "all_lead", "with_markers", "without_leading"]

_LEADING = re.compile(rf"\s*(?:{re.escape(MARKER)}\s*)+")


def all_lead(asked: Sequence[str], others: Sequence[str], pictures: int) -> bool:
    """Whether a row's markers all stand before its first text, and so say no more than no markers would.

    A question has a marker for each of its pictures, or none; then they stand before the first text.

    Args:
        asked: What the user says, in order, at least one text.
        others: What else is said: the system's and the assistant's texts.
        pictures: How many pictures the row has, at least 1.

    Raises:
        RowProblem: There are more or fewer markers than pictures, or one stands in a text that isn't the user's.
    """
    if any(MARKER in text for text in others):
        raise RowProblem(f"{MARKER} stands in a text that isn't the user's; pictures belong to questions alone")
    count = sum(text.count(MARKER) for text in asked)
    if count not in (0, pictures):
        found = f"{_counted(pictures, 'picture')} and {_counted(count, 'marker')} {MARKER}"
        raise RowProblem(f"there are {found}; one marker for each picture, or none, was expected")
    return 0 < count == asked[0].count(MARKER) - without_leading(asked[0]).count(MARKER)


def without_leading(text: str) -> str:
    """A text without the markers that it begins with; one that is nothing else stays as it is."""
    return text[found.end() :] if (found := _LEADING.match(text)) and found.end() < len(text) else text


def with_markers(turns: Sequence[Turn], pictures: int) -> tuple[Turn, ...]:
    """A conversation in which every picture has its marker, as other trainers want it.

    Args:
        turns: The turns; of those of a row with pictures, the user's may have markers.
        pictures: How many pictures the row has.
    """
    if not pictures or any(MARKER in turn.content for turn in turns if turn.role == "user"):
        return tuple(turns)
    first = next(number for number, turn in enumerate(turns) if turn.role == "user")
    marked = Turn("user", MARKER * pictures + "\n" + turns[first].content, turns[first].learn)
    return (*turns[:first], marked, *turns[first + 1 :])


def _counted(count: int, what: str) -> str:
    return f"1 {what}" if count == 1 else f"{count} {what}s"
