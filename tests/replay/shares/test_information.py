"""Counts that go on against counting anew."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inscl.replay.shares.information import InformationCounts
from inscl.tagging import instruction_information, merge_tags

WORDS = ["sort", "mail", "file", "coin", "river", "rhyme", "grade", "route", "planet", "price"]
sets_of_tags = st.lists(st.sampled_from([*WORDS, "Sorting", "42"]), max_size=4)
# What a plan is asked about: instruction -> raw tags; an instruction may go, come back, or be tagged otherwise.
plans = st.lists(st.dictionaries(st.sampled_from("abcdefghijkl"), sets_of_tags.map(tuple), max_size=12), max_size=4)


def embed(tags: list[str]) -> np.ndarray:
    """Three synonyms around one direction, two around another."""
    near = {"mail": 0, "file": 0, "coin": 0, "river": 1, "planet": 1}
    rows = np.zeros((len(tags), 40), dtype=np.float32)
    for row, tag in zip(rows, tags, strict=True):
        row[near.get(tag, 2 + sum(tag.encode()) % 30)] = 1
        row[32 + sum(tag.encode()) % 8] += 0.1
    return rows


@settings(max_examples=150, deadline=None)
@given(plans, st.booleans(), st.integers(1, 4))
def test_the_same_as_counting_anew_whatever_was_counted_before(asked: list, merging: bool, min_samples: int) -> None:
    counts = InformationCounts(embed if merging else None, 0.1, min_samples)
    for raw in asked:
        values, tags = counts.count(raw)
        merged = merge_tags(list(raw.values()), embed if merging else None, min_samples=min_samples)
        assert {text: tags[text] for text in raw} == dict(zip(raw, merged, strict=True))
        assert set(tags) == set(raw)
        assert list(values) == list(raw)
        np.testing.assert_array_equal(list(values.values()), instruction_information(merged))


def test_tags_that_stand_are_neither_embedded_nor_compared_again(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def watched(tags: list[str]) -> np.ndarray:
        asked.extend(tags)
        return embed(tags)

    counts = InformationCounts(watched, 0.1, 2)
    first = {str(k): (word,) for k, word in enumerate(WORDS[:6])}
    counts.count(first)
    assert sorted(asked) == sorted(WORDS[:6])
    asked.clear()
    values, tags = counts.count({**first, "new": ("grade", "coin", "file")})
    assert asked == ["grade"]
    assert tags["new"] == ("grade", "coin")
    # "coin" and "file" are now on two instructions each: the cluster is named after the first in the alphabet.
    assert tags["1"] == tags["2"] == ("coin",)
    assert values["1"] == pytest.approx(np.log(7 / 4))
