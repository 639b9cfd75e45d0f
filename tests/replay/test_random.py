from __future__ import annotations

import numpy as np

from inscl.contract import Memory
from inscl.replay import Budget
from inscl.replay.random import RandomReplay
from inscl.testing import check_strategy, made_task


def test_equal_shares_and_other_picks_for_another_seed() -> None:
    memory = Memory((made_task("a", 30), made_task("b", 30), made_task("c", 2)))
    plans = [
        RandomReplay().plan(memory, made_task("n", 5), Budget(per_task=6), np.random.default_rng(s)) for s in (0, 1)
    ]
    # c holds 2 of its 6: the other 16 are shared evenly.
    assert plans[0].allocation == {"a": 8, "b": 8, "c": 2}
    assert plans[0].strategy == "random"
    assert [p.example.id for p in plans[0].picks] != [p.example.id for p in plans[1].picks]


def test_keeps_the_contract() -> None:
    check_strategy(RandomReplay)
