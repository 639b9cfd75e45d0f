from __future__ import annotations

import numpy as np

from inscl.contract import Memory
from inscl.replay import Budget
from inscl.replay.full import FullReplay, plan_everything
from inscl.testing import made_task


def test_replays_everything_in_the_order_it_was_learned() -> None:
    memory = Memory((made_task("a", 4), made_task("b", 7)))
    rng = np.random.default_rng(0)
    before = rng.bit_generator.state
    plan = FullReplay().plan(memory, made_task("n", 2), Budget(total=3), rng)
    assert plan.examples == [*memory.tasks[0].train, *memory.tasks[1].train]
    assert plan.allocation == {"a": 4, "b": 7}
    assert [share.weight for share in plan.shares] == [4, 7]
    assert plan.strategy == "full"
    assert rng.bit_generator.state == before


def test_the_first_stage_has_nothing_to_replay() -> None:
    plan = plan_everything("full", Memory(), made_task("n", 2), Budget(per_task=3))
    assert (plan.picks, plan.shares, plan.notes) == ((), (), ())
