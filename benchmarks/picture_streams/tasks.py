"""Pictures to rows of instruction tasks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sources import Shown, Source

KINDS = ("name", "choice", "check", "caption")
"""Name it, which of two, yes or no, describe it."""


def parted(pictures: Sequence[Shown], part: str) -> list[Shown]:
    """The pictures of one part: a half of them, by content, is for making models, so that no stream shows those."""
    ours = {"model": "01234567", "stream": "89abcdef", "all": "0123456789abcdef"}[part]
    return [one for one in pictures if one.digest[0] in ours]


def balanced(pictures: Sequence[Shown], seed: int) -> list[Shown]:
    """All pictures in turns: of each name one, then of each name another one."""
    chance = np.random.default_rng(seed)
    by_name: dict[str, list[Shown]] = {}
    for one in sorted(pictures, key=lambda one: one.digest):
        by_name.setdefault(one.name, []).append(one)
    shuffled = [[group[k] for k in chance.permutation(len(group))] for _, group in sorted(by_name.items())]
    return [group[k] for k in range(max(map(len, shuffled), default=0)) for group in shuffled if k < len(group)]


def mixed(pictures: Sequence[Shown], source: Source, kinds: Sequence[str], seed: int) -> list[dict[str, Any]]:
    """One row for each picture; kinds take turns, within each name too."""
    names = sorted({one.name for one in pictures})
    seen: dict[str, int] = {}
    rows = []
    for one, chance in zip(pictures, _chances(pictures, seed), strict=True):
        turn = seen[one.name] = seen.get(one.name, names.index(one.name)) + 1
        rows.append(_row(one, kinds[turn % len(kinds)], source, names, chance))
    return rows


def of_kind(pictures: Sequence[Shown], source: Source, kind: str, seed: int) -> list[dict[str, Any]]:
    """One row of this kind for each picture."""
    names = sorted({one.name for one in pictures})
    chances = _chances(pictures, seed)
    return [_row(one, kind, source, names, chance) for one, chance in zip(pictures, chances, strict=True)]


def _chances(pictures: Sequence[Shown], seed: int) -> list[np.random.Generator]:
    """What is drawn for a picture depends on it alone, not on its place."""
    return [np.random.default_rng([seed, int(one.digest[:12], 16)]) for one in pictures]


def _row(one: Shown, kind: str, source: Source, names: Sequence[str], chance: np.random.Generator) -> dict[str, Any]:
    other = str(chance.choice([name for name in names if name != one.name]))
    first = bool(chance.integers(2))
    two = [one.name, other] if first else [other, one.name]
    asked: dict[str, tuple[str, str, list[str]]] = {
        "name": ("", one.name, list(names)),
        "choice": (" or ".join(two), one.name, two),
        "check": (one.name if first else other, "yes" if first else "no", ["yes", "no"]),
        "caption": ("", one.caption, []),
    }
    said, answer, options = asked[kind]
    row = {"instruction": source.asks[kind], "input": said, "output": answer, "image": file_of(one), "kind": kind}
    return {**row, "options": options} if options else row


def file_of(one: Shown) -> str:
    """Where a picture stands in the folder of its stream."""
    return f"pictures/{one.digest[:20]}.png"
