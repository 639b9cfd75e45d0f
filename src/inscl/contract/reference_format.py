"""The format of a task's answers, learned from its references, so that a program can check whether an answer has it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

__all__ = ["ReferenceFormat", "format_from_json", "learn_format"]

_FEWEST, _FEWEST_OF_LENGTH = 5, 10  # references that show a format
_MOST_LABELS, _TIMES = 10, 3  # distinct answers of a closed set, and how often each occurs on average at least
_NUMBER = re.compile(r"[+-]?[\d.,  ]*\d%?")
_SLACK = 2  # an answer may have so many times fewer or more words than any reference


class ReferenceFormat(Protocol):
    """A format that references have in common."""

    @property
    def name(self) -> str:
        """What it is, as a few words."""
        ...

    @property
    def is_closed(self) -> bool:
        """Whether it says what an answer is, and not only how long."""
        ...

    def problem(self, answer: str) -> str:
        """What an answer lacks of it; empty if it has the format."""
        ...

    def to_json(self) -> dict[str, Any]:
        """Plain values, from which `format_from_json` makes it again."""
        ...

    def kept(self, answer: str) -> tuple[bool, ...]:
        """Each of its constraints, whether an answer keeps it: all of them exactly if there is no problem."""
        ...


def learn_format(references: Sequence[str], labels: bool = True) -> ReferenceFormat | None:
    """The narrowest format that all references have; None where they are too few to show one.

    That is, in this order: one of at most 10 labels, JSON with certain keys, a number, or a length, in words and lines.
    The rules are a design of this package.

    Args:
        references: Reference answers of one task.
        labels: Whether a closed set of labels counts; its format holds the labels themselves.
    """
    texts = [text.strip() for text in references if text.strip()]
    closed = {_label(text): text for text in texts}
    if labels and len(closed) <= _MOST_LABELS and len(texts) >= max(_FEWEST, _TIMES * len(closed)):
        return _Closed(tuple(closed.values()))
    if len(texts) >= _FEWEST and all(isinstance(_json(text), dict | list) for text in texts):
        values = [_json(text) for text in texts]
        keys = set.intersection(*map(set, values)) if all(isinstance(one, dict) for one in values) else set()
        return _Json(tuple(sorted(keys)), tuple({type(one).__name__ for one in values}))
    if len(texts) >= _FEWEST and all(_NUMBER.fullmatch(text) for text in texts):
        return _Number()
    if len(texts) < _FEWEST_OF_LENGTH:
        return None
    counts = [len(text.split()) for text in texts]
    return _Length(min(counts) // _SLACK, max(counts) * _SLACK, any("\n" in text for text in texts))


def format_from_json(row: Mapping[str, Any]) -> ReferenceFormat:
    """The inverse of `to_json`."""
    fields = {key: tuple(value) if isinstance(value, list) else value for key, value in row.items() if key != "kind"}
    made: ReferenceFormat = _KINDS[row["kind"]](**fields)
    return made


class _Written:
    """What the formats, which are dataclasses of plain fields, have in common."""

    def to_json(self) -> dict[str, Any]:
        kind = next(name for name, made in _KINDS.items() if type(self) is made)
        fields: dict[str, Any] = asdict(self)  # type: ignore[call-overload]
        return {"kind": kind, **{k: list(v) if isinstance(v, tuple) else v for k, v in fields.items()}}


@dataclass(frozen=True)
class _Closed(_Written):
    labels: tuple[str, ...]
    is_closed = True

    @property
    def name(self) -> str:
        return f"one of {len(self.labels)} labels"

    def problem(self, answer: str) -> str:
        return "" if _label(answer) in set(map(_label, self.labels)) else f"it isn't {self.name}"

    def kept(self, answer: str) -> tuple[bool, ...]:
        return (not self.problem(answer),)


@dataclass(frozen=True)
class _Json(_Written):
    keys: tuple[str, ...]
    types: tuple[str, ...]
    name = "JSON"
    is_closed = True

    def problem(self, answer: str) -> str:
        value = _json(answer.strip())
        if type(value).__name__ not in self.types:
            return "it isn't JSON as the references are"
        missing = [key for key in self.keys if key not in value]
        return f"its JSON lacks {', '.join(missing)}" if missing else ""

    def kept(self, answer: str) -> tuple[bool, ...]:
        value = _json(answer.strip())
        is_json = type(value).__name__ in self.types
        return (is_json, *(is_json and key in value for key in self.keys))


@dataclass(frozen=True)
class _Number(_Written):
    name = "a number"
    is_closed = True

    def problem(self, answer: str) -> str:
        return "" if _NUMBER.fullmatch(answer.strip()) else "it isn't a number"

    def kept(self, answer: str) -> tuple[bool, ...]:
        return (not self.problem(answer),)


@dataclass(frozen=True)
class _Length(_Written):
    fewest: int
    most: int
    lines: bool
    is_closed = False

    @property
    def name(self) -> str:
        return f"{self.fewest} to {self.most} words" + ("" if self.lines else " on one line")

    def problem(self, answer: str) -> str:
        words = len(answer.split())
        if not max(self.fewest, 1) <= words <= self.most:
            return f"it has {words} words, and {self.name} were expected"
        return "it has several lines" if not self.lines and "\n" in answer.strip() else ""

    def kept(self, answer: str) -> tuple[bool, ...]:
        words = len(answer.split())
        length = max(self.fewest, 1) <= words <= self.most
        return (length,) if self.lines else (length, words > 0 and "\n" not in answer.strip())


_KINDS: Mapping[str, Any] = {"labels": _Closed, "json": _Json, "number": _Number, "length": _Length}


def _label(text: str) -> str:
    return " ".join(text.split()).rstrip(".").casefold()


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
