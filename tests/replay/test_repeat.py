"""No Replay with as many steps: more of the new task, and nothing else."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from inscl.contract import Memory, Task
from inscl.replay import Budget
from inscl.replay.random import RandomReplay
from inscl.replay.repeat import RepeatNewTask
from inscl.testing import check_strategy, made_task

MEMORY = Memory((made_task("a", 9), made_task("b", 14)))


def plan(budget: Budget, new: Task, memory: Memory = MEMORY, seed: int = 0):
    return RepeatNewTask().plan(memory, new, budget, np.random.default_rng(seed))


@pytest.mark.parametrize(
    "budget", [Budget(per_task=0), Budget(per_task=4), Budget(total=17), Budget(share=0.7), Budget(total=10**6)]
)
def test_as_many_examples_as_random_replay_and_none_of_an_earlier_task(budget: Budget) -> None:
    new = made_task("n", 5)
    random = RandomReplay().plan(MEMORY, new, budget, np.random.default_rng(0))
    ours = plan(budget, new)
    assert len(ours.picks) == len(random.picks)
    assert {pick.task for pick in ours.picks} <= {"n"}
    assert ours.allocation == {"a": 0, "b": 0}
    counts = Counter(example.id for example in ours.examples)
    assert set(counts) <= {example.id for example in new.train}
    each = [counts[example.id] for example in new.train]
    assert max(each) - min(each) <= 1


def test_as_many_tokens_to_within_an_example() -> None:
    new = made_task("n", 5)
    longest = max(Budget(tokens=0).count_tokens(example) for example in new.train)
    held = sum(Budget(tokens=0).count_tokens(example) for task in MEMORY.tasks for example in task.train)
    for limit in (0, 7, longest, 100, 250, 10**6):
        budget = Budget(tokens=limit)
        spent = sum(map(budget.count_tokens, plan(budget, new).examples))
        assert min(limit, held) - longest < spent <= min(limit, held)


def test_chance_decides_the_order_and_nothing_is_taken_at_the_first_stage() -> None:
    new = made_task("n", 12)
    first, again, other = (plan(Budget(total=6), new, seed=seed).examples for seed in (0, 0, 1))
    assert first == again
    assert first != other
    assert plan(Budget(total=6), new, Memory()).examples == []
    assert plan(Budget(tokens=60), new, Memory()).examples == []
    assert plan(Budget(total=6), Task("empty", (), new.test)).examples == []


def test_keeps_the_contract() -> None:
    check_strategy(RepeatNewTask)
