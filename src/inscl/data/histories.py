"""An example about what came before: its past items, and which of them are shown (ReLLa, arXiv 2308.11131)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inscl.contract import Example
from inscl.errors import DataError

__all__ = ["PAST", "History", "Item", "recent", "retrieved"]

PAST = "past"
"""The column, and key of an example's metadata, in which a history stands."""

_TEXTS = ("before", "heading", "after", "target")


@dataclass(frozen=True)
class Item:
    """One past item.

    Attributes:
        text: What it is, as a sentence: its vector is taken from this.
        line: How it is shown in a prompt.
    """

    text: str
    line: str


@dataclass(frozen=True)
class History:
    """The past items of an example and what stands around them in its input.

    In a row it is the column ``past``, an object with these keys; the setting ``stream.metadata: [past]`` keeps it.

    Attributes:
        items: Oldest first.
        target: What is asked about, as a sentence: its vector is taken from this.
        before: What stands before the items, such as a user's profile; may be empty.
        heading: The line above the items. It is left out where no item is shown.
        after: What stands after the items: the question; may be empty.
    """

    items: tuple[Item, ...]
    target: str
    before: str = ""
    heading: str = ""
    after: str = ""

    def shown(self, places: Sequence[int]) -> str:
        """The input with the items at `places`, in that order, one a line; blank lines between the parts."""
        lines = [self.items[place].line for place in places]
        listed = "\n".join([*filter(None, [self.heading]), *lines]) if lines else ""
        return "\n\n".join(filter(None, [self.before, listed, self.after]))

    def to_json(self) -> dict[str, Any]:
        """Plain values, as they stand in the column ``past``."""
        items = [{"text": item.text, "line": item.line} for item in self.items]
        return {"items": items, **{key: getattr(self, key) for key in _TEXTS}}

    @classmethod
    def of(cls, example: Example) -> History | None:
        """The history of an example; None where its metadata hold none.

        Raises:
            DataError: What stands there is no history.
        """
        given = example.metadata.get(PAST)
        if given is None:
            return None
        if wrong := _problem(given):
            place = example.source or example.id
            raise DataError(
                f"the column {PAST!r} of the row {place} is no history: {wrong}; expected an object "
                "{items: [{text: ..., line: ...}, ...], target: ..., before: ..., heading: ..., after: ...}"
            )
        items = tuple(Item(item["text"], item["line"]) for item in given["items"])
        return cls(items, **{key: given.get(key, "") for key in _TEXTS})


def recent(count: int, k: int) -> list[int]:
    """Places of the `k` last of `count` past items, oldest first; all of them where there are no more."""
    return list(range(max(0, count - k), count))


def retrieved(likeness: NDArray[np.float64], k: int) -> list[int]:
    """Places of the `k` past items most like the target, put back in order of time.

    Args:
        likeness: Of each past item to the target, oldest first, shape (n,).
        k: How many, at least 0.

    Returns:
        Ascending places; of equally like items the later ones. All places where `k` is n or more.
    """
    count = len(likeness)
    latest_first = np.arange(count)[::-1]
    order = latest_first[np.argsort(-likeness[latest_first], kind="stable")]
    return sorted(int(place) for place in order[:k])


def _problem(given: Any) -> str:
    """What is wrong with a history as it stands in a row; nothing if it is one."""
    if not isinstance(given, Mapping):
        return f"it is {type(given).__name__}"
    if unknown := sorted(set(map(str, given)) - {"items", *_TEXTS}):
        return f"the key {unknown[0]!r} is not known"
    if wrong := [key for key in _TEXTS if not isinstance(given.get(key, ""), str)]:
        return f"{wrong[0]!r} is no text"
    if not str(given.get("target", "")).strip():
        return "'target' is missing or empty"
    items = given.get("items")
    if not isinstance(items, Sequence) or isinstance(items, str):
        return "'items' is no list"
    for number, item in enumerate(items, start=1):
        texts = [item.get(key) for key in ("text", "line")] if isinstance(item, Mapping) else [None]
        if not all(isinstance(text, str) and text.strip() for text in texts):
            return f"item {number} doesn't have a 'text' and a 'line'"
    return ""
