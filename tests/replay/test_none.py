from __future__ import annotations

import numpy as np

from inscl.contract import Memory
from inscl.replay import Budget
from inscl.replay.none import NoReplay
from inscl.testing import check_strategy, made_task


def test_replays_nothing_whatever_the_budget() -> None:
    plan = NoReplay().plan(Memory((made_task("a", 5),)), made_task("b", 5), Budget(total=5), np.random.default_rng(0))
    assert plan.examples == []
    assert plan.allocation == {"a": 0}


def test_keeps_the_contract() -> None:
    check_strategy(NoReplay, fills_budget=False)
