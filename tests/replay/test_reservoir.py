"""The stateless reservoir has the properties of one that keeps a state."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from inscl.contract import Example, Memory, Task
from inscl.errors import ConfigError
from inscl.replay import Budget
from inscl.replay.reservoir import Reservoir
from inscl.testing import made_task

TASKS = tuple(made_task(f"task{k}", size) for k, size in enumerate((3, 20, 9, 40, 1, 12)))
NEW = made_task("new", 5)


def held(strategy: Reservoir, memory: Memory) -> set[tuple[str, int]]:
    return {(memory.tasks[j].name, k) for j, k in strategy.kept(memory)}


def test_what_was_evicted_never_comes_back() -> None:
    for seed in range(20):
        strategy = Reservoir(seed, capacity=8)
        gone: set[tuple[str, int]] = set()
        before: set[tuple[str, int]] = set()
        for stage in range(1, len(TASKS) + 1):
            memory = Memory(TASKS[:stage])
            now = held(strategy, memory)
            assert len(now) == min(8, sum(len(task.train) for task in memory.tasks))
            assert not now & gone
            # Newcomers are of the newest task alone.
            assert {task for task, _ in now - before} <= {TASKS[stage - 1].name}
            gone |= before - now
            before = now
        assert gone


def test_everything_seen_is_kept_with_the_same_chance() -> None:
    # 2000 reservoirs of 10 of 85: each example is kept 2000 * 10 / 85 = 235 times, give or take 14.4.
    memory, counts = Memory(TASKS), Counter[tuple[str, int]]()
    for seed in range(2000):
        counts.update(held(Reservoir(seed, capacity=10), memory))
    expected, deviation = 2000 * 10 / 85, (2000 * (10 / 85) * (75 / 85)) ** 0.5
    values = np.array([counts[task.name, k] for task in TASKS for k in range(len(task.train))])
    assert values.sum() == 20000
    assert np.abs(values - expected).max() < 4.5 * deviation
    assert values.std() == pytest.approx(deviation, rel=0.35)


def test_twins_are_kept_independently() -> None:
    row = Example("do", "it", ("x",))
    memory = Memory((Task("a", (row,) * 50), Task("b", (row,) * 50)))
    kept = Reservoir(capacity=30).kept(memory)
    assert len(set(kept)) == 30
    assert 5 < sum(j == 0 for j, _ in kept) < 25
    assert {k for j, k in kept if j == 0} != {k for j, k in kept if j == 1}


def test_a_plan_is_a_uniform_choice_of_what_is_kept() -> None:
    memory, strategy = Memory(TASKS), Reservoir(3, capacity=12)
    kept = {memory.tasks[j].train[k].id for j, k in strategy.kept(memory)}
    counts: Counter[str] = Counter()
    for seed in range(400):
        plan = strategy.plan(memory, NEW, Budget(total=4), np.random.default_rng(seed))
        assert len(plan.picks) == 4
        counts.update(pick.example.id for pick in plan.picks)
    assert set(counts) == kept
    # 400 plans of 4 of 12: 133 each, give or take 9.4.
    assert max(abs(n - 400 / 3) for n in counts.values()) < 45
    assert [share.weight for share in plan.shares] == [
        sum(j == index for j, _ in strategy.kept(memory)) for index in range(len(TASKS))
    ]


def test_less_kept_than_the_budget_asks_is_told() -> None:
    plan = Reservoir(capacity=5).plan(Memory(TASKS), NEW, Budget(total=20), np.random.default_rng(0))
    assert len(plan.picks) == 5
    assert plan.notes == ("the reservoir holds 5 examples, 15 fewer than the budget asks for",)


def test_without_a_capacity_the_budget_is_the_capacity() -> None:
    memory = Memory(TASKS)
    for seed in (0, 1):
        plan = Reservoir(7).plan(memory, NEW, Budget(total=11), np.random.default_rng(seed))
        chosen = {(pick.task, pick.example.id) for pick in plan.picks}
        fixed = Reservoir(7, capacity=11).kept(memory)
        assert chosen == {(memory.tasks[j].name, memory.tasks[j].train[k].id) for j, k in fixed}


def test_another_seed_keeps_others() -> None:
    memory = Memory(TASKS)
    assert Reservoir(1, 10).kept(memory) == Reservoir(1, 10).kept(memory) != Reservoir(2, 10).kept(memory)


def test_a_negative_capacity_is_told() -> None:
    with pytest.raises(ConfigError, match="capacity"):
        Reservoir(capacity=-1)
    assert Reservoir(capacity=0).kept(Memory(TASKS)) == []
