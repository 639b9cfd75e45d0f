"""Which past items are shown, how, and what a row with a history looks like."""

from __future__ import annotations

import itertools
import json
from typing import Any

import numpy as np
import pytest

from inscl.contract import Example
from inscl.data.histories import PAST, History, Item, recent, retrieved
from inscl.errors import DataError

HISTORY = History(
    (Item("a film of 1990", "A: 4"), Item("a film of 1991", "B: 2")), "a film of 1992", "A user.", "Seen:", "And C?"
)


def test_the_most_alike_are_put_back_in_order_of_time() -> None:
    """Against every subset: the best sum of likenesses, and of equal ones the latest items."""
    rng = np.random.default_rng(0)
    for _ in range(60):
        count, k = int(rng.integers(0, 7)), int(rng.integers(0, 9))
        likeness = rng.integers(0, 3, size=count) / 2
        subsets = itertools.combinations(range(count), min(k, count))
        best = max(subsets, key=lambda places: (sum(likeness[list(places)]), sorted(places, reverse=True)))
        found = retrieved(likeness, k)
        assert found == sorted(found)
        assert sum(likeness[found]) == sum(likeness[list(best)])
        assert found == sorted(best)


@pytest.mark.parametrize("k", [3, 4, 99])
def test_as_many_as_there_are_return_the_history_unchanged(k: int) -> None:
    assert recent(3, k) == retrieved(np.array([0.1, 0.9, 0.5]), k) == [0, 1, 2]


def test_recent_items_and_none() -> None:
    assert recent(5, 2) == [3, 4]
    assert recent(5, 0) == recent(0, 4) == retrieved(np.array([0.3]), 0) == retrieved(np.zeros(0), 4) == []


def test_what_is_shown() -> None:
    assert HISTORY.shown([0, 1]) == "A user.\n\nSeen:\nA: 4\nB: 2\n\nAnd C?"
    assert HISTORY.shown([1]) == "A user.\n\nSeen:\nB: 2\n\nAnd C?"
    assert HISTORY.shown([]) == "A user.\n\nAnd C?"
    assert History(HISTORY.items, "t").shown([0]) == "A: 4"


def test_a_row_gives_the_same_history_back() -> None:
    row = json.loads(json.dumps(HISTORY.to_json()))
    assert History.of(Example("i", "x", ("y",), metadata={PAST: row})) == HISTORY
    assert History.of(Example("i", "x", ("y",), metadata={"other": 1})) is None
    short = {"items": [], "target": "t"}
    assert History.of(Example("i", "x", ("y",), metadata={PAST: short})) == History((), "t")


@pytest.mark.parametrize(
    ("past", "said"),
    [
        ("text", "it is str"),
        ({"items": []}, "'target' is missing or empty"),
        ({"target": "t"}, "'items' is no list"),
        ({"target": "t", "items": "ab"}, "'items' is no list"),
        ({"target": "t", "items": [], "before": 3}, "'before' is no text"),
        ({"target": "t", "items": [], "befor": ""}, "the key 'befor' is not known"),
        ({"target": "t", "items": [{"text": "a", "line": "b"}, {"text": "a"}]}, "item 2 doesn't have"),
        ({"target": "t", "items": [{"text": " ", "line": "b"}]}, "item 1 doesn't have"),
    ],
    ids=str,
)
def test_what_is_no_history_is_refused_with_its_row(past: Any, said: str) -> None:
    with pytest.raises(DataError, match=r"of the row films\.jsonl:7 is no history: .*" + said):
        History.of(Example("i", "x", ("y",), source="films.jsonl:7", metadata={PAST: past}))
