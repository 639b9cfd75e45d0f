"""Ratings in order of time, and the examples that ask whether a user will like the next item."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from typing import Any

from inscl.contract import Example
from inscl.data.histories import PAST, History, Item, recent
from inscl.data.readers import read_rows
from inscl.errors import DataError

__all__ = ["Rating", "Ratings", "Wording", "rating_example", "read_ratings"]


@dataclass(frozen=True)
class Rating:
    """One rating.

    Attributes:
        user: Who rated.
        item: What was rated.
        value: The rating.
        time: When, in any unit.
    """

    user: str
    item: str
    value: float
    time: float


@dataclass(frozen=True)
class Ratings:
    """Ratings of all users in order of time; of equal times, in the order of the file.

    Attributes:
        rows: The ratings, oldest first. Make it with `in_order`.
    """

    rows: tuple[Rating, ...]

    @classmethod
    def in_order(cls, rows: Iterable[Rating]) -> Ratings:
        """Ratings in any order, sorted by time; equal times keep their order."""
        return cls(tuple(sorted(rows, key=lambda rating: rating.time)))

    def before(self, place: int) -> tuple[Rating, ...]:
        """What the user of the rating at `place` had rated before it, oldest first."""
        own, number = self._of_users[self.rows[place].user], self._numbers[place]
        return tuple(self.rows[at] for at in own[:number])

    @property
    def tied(self) -> int:
        """Ratings whose user gave another at the same time: the order of the file decided their place in a history."""
        moments: dict[tuple[str, float], int] = {}
        for rating in self.rows:
            moments[rating.user, rating.time] = moments.get((rating.user, rating.time), 0) + 1
        return sum(count for count in moments.values() if count > 1)

    def split(self, shares: tuple[int, ...] = (8, 1, 1)) -> tuple[range, ...]:
        """Places of the parts, such as train, validation and test: the earlier part is older for all users together.

        ReLLa divides by time, 8:1:1 (its released code). Sizes are rounded so that they sum to the whole.
        """
        ends = [len(self.rows) * end // sum(shares) for end in accumulate(shares)]
        return tuple(range(start, end) for start, end in zip([0, *ends], ends, strict=False))

    @cached_property
    def _of_users(self) -> dict[str, list[int]]:
        found: dict[str, list[int]] = {}
        for place, rating in enumerate(self.rows):
            found.setdefault(rating.user, []).append(place)
        return found

    @cached_property
    def _numbers(self) -> dict[int, int]:
        return {place: number for places in self._of_users.values() for number, place in enumerate(places)}


@dataclass(frozen=True)
class Wording:
    """The words of an example about ratings.

    Attributes:
        instruction: What is asked of every example.
        heading: The line above the past items.
        question: What is asked at the end; ``{item}`` is the target's name.
        line: A past item; ``{item}`` is its name, ``{rating}`` the user's rating.
        above: A rating above this means that the user likes the item.
        options: The answer where they do, and where they don't.
        task: Name of the task.
    """

    instruction: str
    heading: str = "Rated before, oldest first:"
    question: str = "Will this user like {item}?"
    line: str = "{item}: {rating:g}"
    above: float = 3.0
    options: tuple[str, str] = ("Yes", "No")
    task: str = "ratings"


def read_ratings(path: Path, user: str, item: str, rating: str, time: str) -> Ratings:
    """Read a file with one rating a row, in any format that inscl reads.

    Args:
        path: The file.
        user: Name of the column of users, and so on.
        item: Of items.
        rating: Of ratings, numbers.
        time: Of times, numbers in any unit.

    Raises:
        DataError: The file can't be read, holds no rating, or a row lacks a column or a number.
    """
    found = []
    for row in read_rows(path):
        if row.problem:
            raise DataError(row.problem, path, row.line)
        columns = {"user": user, "item": item, "value": rating, "time": time}
        if missing := [name for name in columns.values() if row.values.get(name) in (None, "")]:
            raise DataError(f"the column {missing[0]!r} is missing or empty", path, row.line)
        given: dict[str, Any] = {key: row.values[name] for key, name in columns.items()}
        numbers = {key: _number(given[key], columns[key], path, row.line) for key in ("value", "time")}
        found.append(Rating(str(given["user"]), str(given["item"]), **numbers))
    if not found:
        raise DataError("it holds no rating", path)
    return Ratings.in_order(found)


def rating_example(
    ratings: Ratings,
    place: int,
    k: int,
    wording: Wording,
    items: Mapping[str, tuple[str, str]],
    profiles: Mapping[str, str],
) -> Example:
    """The example that asks for the rating at `place`: a closed question with the history in its metadata.

    Its input shows the `k` most recent items; the refiner ``rella`` shows those most like the target. A user without
    a history gets the same question without items.

    Args:
        ratings: All ratings.
        place: Of the target among them.
        k: Most items shown, at least 0.
        wording: Its words.
        items: Item -> its name, and a sentence that describes it, for its vector.
        profiles: User -> what stands before the items.

    Raises:
        DataError: An item or user isn't described.
    """
    target, past = ratings.rows[place], ratings.before(place)
    for what, name, known in (
        *(("item", rating.item, items) for rating in (*past, target)),
        ("user", target.user, profiles),
    ):
        if name not in known:
            raise DataError(f"the {what} {name!r} was rated and isn't described: add it to the file of {what}s")
    shown = tuple(
        Item(items[rating.item][1], wording.line.format(item=items[rating.item][0], rating=rating.value))
        for rating in past
    )
    name, about = items[target.item]
    history = History(shown, about, profiles[target.user], wording.heading, wording.question.format(item=name))
    likes, dislikes = wording.options
    return Example(
        wording.instruction,
        history.shown(recent(len(shown), k)),
        (likes if target.value > wording.above else dislikes,),
        wording.task,
        options=wording.options,
        metadata={PAST: history.to_json()},
    )


def _number(value: Any, column: str, path: Path, line: int) -> float:
    try:
        found = float(value)
    except (TypeError, ValueError):
        found = math.nan
    if not math.isfinite(found):
        raise DataError(f"the column {column!r} holds {value!r}; expected a number", path, line)
    return found
