"""Joint Training: all tasks at once instead of one after another."""

from __future__ import annotations

import numpy as np

from inscl.contract import Memory, Task
from inscl.contract.budget import Budget
from inscl.contract.plan import ReplayPlan
from inscl.contract.traits import StrategyTraits
from inscl.replay.full import plan_everything

__all__ = ["JointTraining"]


class JointTraining:
    """Wait for the last task, then learn all tasks together: the usual upper bound; not continual learning.

    The strategy only declares that it waits; the engine skips the training of the stages before the last. The budget is
    left aside.
    """

    traits = StrategyTraits(uses_budget=False, waits=True, replays_all=True)

    def plan(self, memory: Memory, new_task: Task, budget: Budget, rng: np.random.Generator) -> ReplayPlan:
        """Everything in memory, in the order in which it came; `budget` and `rng` are left aside."""
        return plan_everything("joint", memory, new_task, budget)
