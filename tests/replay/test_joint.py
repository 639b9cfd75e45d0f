from __future__ import annotations

import numpy as np

from inscl.contract import Memory
from inscl.contract.traits import StrategyTraits, traits_of
from inscl.replay import Budget
from inscl.replay.joint import JointTraining
from inscl.testing import made_task


def test_at_the_last_stage_it_has_everything() -> None:
    memory = Memory((made_task("a", 4), made_task("b", 7)))
    plan = JointTraining().plan(memory, made_task("n", 2), Budget(per_task=1), np.random.default_rng(0))
    assert plan.examples == [*memory.tasks[0].train, *memory.tasks[1].train]
    assert plan.strategy == "joint"


def test_it_waits_without_being_made() -> None:
    assert traits_of(JointTraining, StrategyTraits).waits
    assert not traits_of(JointTraining, StrategyTraits).uses_budget
