"""No Replay: the lower bound every other strategy is compared with."""

from __future__ import annotations

import numpy as np

from inscl.contract import Memory, Task
from inscl.contract.budget import Budget
from inscl.contract.plan import ReplayPlan, TaskShare
from inscl.contract.traits import StrategyTraits

__all__ = ["NoReplay"]


class NoReplay:
    """Learn the new task alone (InsCL, baseline *No Replay*). Whatever the budget, nothing is replayed."""

    traits = StrategyTraits(uses_budget=False, replays=False)

    def plan(self, memory: Memory, new_task: Task, budget: Budget, rng: np.random.Generator) -> ReplayPlan:
        """An empty plan; `budget` and `rng` are left aside."""
        shares = tuple(TaskShare(task.name, len(task.train), 0, 0.0) for task in memory.tasks)
        return ReplayPlan(new_task.name, "none", shares=shares, budget=budget.to_json())
