from __future__ import annotations

from functools import partial

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from inscl.contract import Example, Memory, Task
from inscl.replay import Budget
from inscl.replay.random import RandomReplay
from inscl.replay.shares.selection import select_uniformly
from inscl.replay.shares.tokens import select_within_tokens
from inscl.testing import made_task


def task_of(name: str, lengths: list[int]) -> Task:
    return Task(name, tuple(Example("do", f"{name}{k} " + "w " * n, ("x",)) for k, n in enumerate(lengths)))


@given(st.lists(st.lists(st.integers(0, 40), min_size=1, max_size=15), min_size=1, max_size=5), st.integers(0, 600))
def test_fits_and_leaves_nothing_out_that_would_fit(lengths: list[list[int]], limit: int) -> None:
    memory = Memory(tuple(task_of(f"t{k}", row) for k, row in enumerate(lengths)))
    budget = Budget(tokens=limit)
    plan = RandomReplay().plan(memory, made_task("n", 4), budget, np.random.default_rng(0))
    spent = sum(map(budget.count_tokens, plan.examples))
    assert spent <= limit
    replayed = {(pick.task, pick.example.input) for pick in plan.picks}
    assert len(replayed) == len(plan.picks)
    left_out = [e for task in memory.tasks for e in task.train if (task.name, e.input) not in replayed]
    assert all(spent + budget.count_tokens(example) > limit for example in left_out)


def test_tasks_without_a_weight_get_only_what_fits_of_no_other() -> None:
    tasks = (task_of("some", [3, 13] * 6), task_of("none", [6] * 12))
    budget = Budget(tokens=75)
    for seed in range(20):
        rng = np.random.default_rng(seed)
        taken = select_within_tokens(tasks, np.array([1.0, 0.0]), budget, partial(select_uniformly, rng=rng), rng)
        spent = sum(budget.count_tokens(tasks[0].train[k]) for k in taken[0])
        left_out = set(range(12)) - set(taken[0])
        assert all(spent + budget.count_tokens(tasks[0].train[k]) > 75 for k in left_out), seed


def test_tasks_of_long_examples_are_not_given_more_tokens() -> None:
    memory = Memory((task_of("short", [5] * 40), task_of("long", [50] * 40)))
    plan = RandomReplay().plan(memory, made_task("n", 4), Budget(tokens=600), np.random.default_rng(0))
    spent = {
        name: sum(Budget(tokens=1).count_tokens(p.example) for p in plan.picks if p.task == name)
        for name in plan.allocation
    }
    assert abs(spent["short"] - spent["long"]) < 60
