from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from inscl.contract import Example, Memory, Task
from inscl.errors import ConfigError, ModelError
from inscl.replay import Budget
from inscl.replay.loss import HighestLoss
from inscl.testing import made_task

NEW = made_task("new", 5)
ROWS = tuple(Example("do", f"{k * 7 % 40}", ("x",)) for k in range(40))
MEMORY = Memory((Task("a", ROWS), Task("b", ROWS[:12])))


class Watched:
    """The loss is the number in the input; remembers what it was asked."""

    def __init__(self) -> None:
        self.pools: list[list[float]] = []

    def __call__(self, examples: Sequence[Example]) -> np.ndarray:
        self.pools.append([float(example.input) for example in examples])
        return np.array(self.pools[-1])


def test_takes_the_highest_of_the_pool() -> None:
    losses = Watched()
    plan = HighestLoss(losses, candidates=3).plan(MEMORY, NEW, Budget(per_task=5), np.random.default_rng(0))
    # b has 12, fewer than 3 * 5.
    assert [len(pool) for pool in losses.pools] == [15, 12]
    for task, pool, note in zip("ab", losses.pools, plan.notes, strict=True):
        assert len(set(pool)) == len(pool)
        taken = [float(pick.example.input) for pick in plan.picks if pick.task == task]
        ordered = sorted(pool, reverse=True)
        assert taken == ordered[:5]
        assert f"{task}: mean loss of the pool's picked examples {np.mean(ordered[:5]):.4f} (5)" in note
        assert note.endswith(f"passed over {np.mean(ordered[5:]):.4f} ({len(pool) - 5})")
    assert plan.parameters == {"candidates": 3}


def test_the_pool_is_drawn_uniformly() -> None:
    losses = Watched()
    for seed in range(300):
        HighestLoss(losses, 2).plan(Memory(MEMORY.tasks[:1]), NEW, Budget(total=4), np.random.default_rng(seed))
    counts = np.bincount(np.array(losses.pools, dtype=int).ravel(), minlength=40)
    # 300 pools of 8 of 40: 60 each, give or take 7.
    assert counts.sum() == 2400
    assert np.abs(counts - 60).max() < 30


def test_one_candidate_a_share_leaves_no_choice() -> None:
    plan = HighestLoss(Watched(), 1).plan(MEMORY, NEW, Budget(per_task=4), np.random.default_rng(0))
    assert all(note.endswith("of those passed over none") for note in plan.notes)


def test_what_is_replayed_whole_is_not_scored() -> None:
    losses = Watched()
    plan = HighestLoss(losses).plan(MEMORY, NEW, Budget(per_task=15), np.random.default_rng(0))
    assert plan.allocation == {"a": 18, "b": 12}
    assert [len(pool) for pool in losses.pools] == [40]


def test_says_what_is_wrong_with_the_losses() -> None:
    with pytest.raises(ConfigError, match="candidates"):
        HighestLoss(Watched(), 0)
    with pytest.raises(ConfigError, match=r"shape \(20,\), got \(3,\)"):
        HighestLoss(lambda examples: np.zeros(3)).plan(MEMORY, NEW, Budget(per_task=5), np.random.default_rng(0))
    with pytest.raises(ModelError, match="task 'a' is not a finite number"):
        HighestLoss(lambda examples: np.full(len(examples), np.nan)).plan(
            MEMORY, NEW, Budget(per_task=5), np.random.default_rng(0)
        )
