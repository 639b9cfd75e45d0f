"""Algorithm 1 on cases worked by hand."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inscl.contract import Example, Task
from inscl.replay.shares.selection import rank_instructions, select_by_information, select_uniformly


def task_of(counts: dict[str, int]) -> Task:
    return Task("t", tuple(Example(text, f"{text}{k}", ("x",)) for text, n in counts.items() for k in range(n)))


def picked(task: Task, information: dict[str, float], count: int, seed: int = 0) -> Counter[str]:
    values = np.array([information[text] for text in task.instructions])
    chosen = select_by_information(task, values, count, np.random.default_rng(seed))
    assert len(set(chosen)) == len(chosen) == count
    return Counter(task.train[k].instruction for k in chosen)


def test_fewer_examples_than_instructions_takes_the_most_informative_one_each() -> None:
    task = task_of({"a": 5, "b": 5, "c": 5})
    assert picked(task, {"a": 1.0, "b": 3.0, "c": 2.0}, 2) == {"b": 1, "c": 1}


def test_instructions_share_in_proportion() -> None:
    task = task_of({"a": 50, "b": 50})
    # Scores 0.75 and 0.25 of 20.
    assert picked(task, {"a": 3.0, "b": 1.0}, 20) == {"a": 15, "b": 5}


def test_an_uninformative_instruction_still_gets_one() -> None:
    task = task_of({"a": 50, "b": 50})
    # floor(20 * 1) + 1 = 21: one of the first is deleted, never the last of the second.
    assert picked(task, {"a": 3.0, "b": 0.0}, 20) == {"a": 19, "b": 1}


def test_what_an_instruction_lacks_is_topped_up_from_the_others() -> None:
    task = task_of({"a": 2, "b": 50})
    # a would get 7 of 10 and has 2; b gets 3, and 5 more are unused examples of the task, all of b.
    assert picked(task, {"a": 7.0, "b": 3.0}, 10) == {"a": 2, "b": 8}


def test_no_information_at_all_counts_instructions_alike() -> None:
    task = task_of({"a": 10, "b": 10})
    assert picked(task, {"a": 0.0, "b": 0.0}, 6) == {"a": 3, "b": 3}


def test_one_instruction_and_everything() -> None:
    task = task_of({"a": 7})
    assert picked(task, {"a": 0.0}, 7) == {"a": 7}
    assert picked(task, {"a": 2.0}, 0) == {}


def test_equal_information_keeps_the_order() -> None:
    assert rank_instructions(np.array([1.0, 2.0, 1.0])).tolist() == [2, 1, 3]


@given(
    st.dictionaries(st.sampled_from("abcdefgh"), st.tuples(st.integers(1, 12), st.floats(0, 9)), min_size=1),
    st.floats(0, 1),
    st.integers(0, 5),
)
def test_always_exactly_the_count_and_never_one_twice(
    made: dict[str, tuple[int, float]], part: float, seed: int
) -> None:
    task = task_of({text: n for text, (n, _) in made.items()})
    information = {text: value for text, (_, value) in made.items()}
    count = int(part * len(task.train))
    found = picked(task, information, count, seed)
    if count >= len(made):
        assert all(found[text] >= 1 for text in made)
    assert picked(task, information, count, seed) == found


def test_uniform_selection_takes_different_ones() -> None:
    task = task_of({"a": 9})
    assert len(set(select_uniformly(task, 9, np.random.default_rng(0)))) == 9


def test_chance_spreads_over_an_instructions_examples() -> None:
    task = task_of({"a": 4, "b": 4})
    firsts = {select_by_information(task, np.array([2.0, 1.0]), 1, np.random.default_rng(s))[0] for s in range(60)}
    assert firsts == {0, 1, 2, 3}


@pytest.mark.parametrize("count", [3, 5, 8])
def test_deletion_never_takes_the_last_of_an_instruction(count: int) -> None:
    task = task_of({"a": 10, "b": 3, "c": 3})
    assert min(picked(task, {"a": 100.0, "b": 0.0, "c": 0.0}, count).values()) >= 1
