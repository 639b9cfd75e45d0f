"""Joint Training: all tasks at once, as if they had never come one after the other."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from inscl.contract import Memory, Task
from inscl.contract.budget import Budget
from inscl.contract.plan import ReplayPlan
from inscl.replay.full import plan_everything

__all__ = ["JointTraining"]


class JointTraining:
    """Wait for the last task, then learn all tasks together: the usual upper bound, and no continual learning.

    Attributes:
        waits: Nothing is learned before the last stage. The strategy only declares it; the pipeline skips the
            training of the stages before.
        uses_budget: The budget is left aside.
    """

    waits: ClassVar[bool] = True
    uses_budget: ClassVar[bool] = False

    def plan(self, memory: Memory, new_task: Task, budget: Budget, rng: np.random.Generator) -> ReplayPlan:
        """Everything in memory, in the order in which it came; `budget` and `rng` are left aside."""
        return plan_everything("joint", memory, new_task, budget)
