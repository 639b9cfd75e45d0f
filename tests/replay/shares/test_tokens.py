from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from inscl.contract import Example, Memory, Task
from inscl.replay import Budget
from inscl.replay.random import RandomReplay
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


def test_tasks_of_long_examples_are_not_given_more_tokens() -> None:
    memory = Memory((task_of("short", [5] * 40), task_of("long", [50] * 40)))
    plan = RandomReplay().plan(memory, made_task("n", 4), Budget(tokens=600), np.random.default_rng(0))
    spent = {
        name: sum(Budget(tokens=1).count_tokens(p.example) for p in plan.picks if p.task == name)
        for name in plan.allocation
    }
    assert abs(spent["short"] - spent["long"]) < 60
