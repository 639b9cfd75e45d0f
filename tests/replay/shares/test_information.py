"""Counting in columns against the plain functions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inscl.replay.shares.information import InformationCounts
from inscl.replay.shares.tagged import task_tags
from inscl.tagging import instruction_information, merge_tags

WORDS = ["sort", "mail", "file", "coin", "river", "rhyme", "grade", "route", "planet", "price"]
sets_of_tags = st.lists(st.sampled_from([*WORDS, "Sorting", "42"]), max_size=4)
# What a plan is asked about: the tasks' instructions with their raw tags; tasks share some, and come and go.
tasks = st.lists(st.lists(st.sampled_from("abcdefghijkl"), unique=True, max_size=6), max_size=4)
plans = st.lists(st.tuples(tasks, st.lists(sets_of_tags, min_size=12, max_size=12)), max_size=4)


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
def test_the_same_as_the_plain_functions_whatever_was_counted_before(
    asked: list, merging: bool, min_samples: int
) -> None:
    counts = InformationCounts(embed if merging else None, 0.1, min_samples)
    for texts, tags in asked:
        raw = dict(zip("abcdefghijkl", tags, strict=True))
        found = counts.count([task_tags("", {text: raw[text] for text in own}) for own in texts])
        distinct = list(dict.fromkeys(text for own in texts for text in own))
        merged = merge_tags([raw[text] for text in distinct], embed if merging else None, min_samples=min_samples)
        values = dict(zip(distinct, instruction_information(merged), strict=True))
        named = dict(zip(distinct, merged, strict=True))
        assert [own.tolist() for own in found.values] == [[values[text] for text in own] for own in texts]
        for j, own in enumerate(texts):
            assert found.tags(j, range(len(own))) == [named[text] for text in own]


def test_sums_are_exact_in_whatever_order_tags_come() -> None:
    rng = np.random.default_rng(0)
    names = [chr(97 + k // 26) + chr(97 + k % 26) for k in range(300)]
    raw = {
        str(k): [names[n] for n in (300 * rng.random(int(rng.integers(0, 40))) ** 3).astype(int)] for k in range(400)
    }
    found = InformationCounts(None, 0.1, 5).count([task_tags("", raw)])
    np.testing.assert_array_equal(found.values[0], instruction_information(merge_tags(list(raw.values()), None)))


def test_tags_that_stand_are_neither_embedded_nor_compared_again() -> None:
    asked: list[str] = []

    def watched(tags: list[str]) -> np.ndarray:
        asked.extend(tags)
        return embed(tags)

    counts = InformationCounts(watched, 0.1, 2)
    first = task_tags("", {str(k): (word,) for k, word in enumerate(WORDS[:6])})
    counts.count([first])
    assert sorted(asked) == sorted(WORDS[:6])
    asked.clear()
    found = counts.count([first, task_tags("", {"new": ("grade", "coin", "file")})])
    assert asked == ["grade"]
    assert found.tags(1, [0]) == [("grade", "coin")]
    # "coin" and "file" are now on two instructions each: the cluster is named after the first in the alphabet.
    assert found.tags(0, [1, 2]) == [("coin",)] * 2
    assert found.values[0][1] == pytest.approx(np.log(7 / 4))
