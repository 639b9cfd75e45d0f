"""Full Replay: all earlier examples, at every stage. It shows what replay can reach at any cost."""

from __future__ import annotations

import numpy as np

from inscl.contract import Memory, Task
from inscl.contract.budget import Budget
from inscl.contract.plan import ReplayPlan
from inscl.contract.traits import StrategyTraits
from inscl.replay.equal_shares import plan_positions

__all__ = ["FullReplay", "plan_everything"]


class FullReplay:
    """Replay all train examples of all earlier tasks, whatever the budget: an upper bound at the highest cost."""

    traits = StrategyTraits(uses_budget=False, replays_all=True)

    def plan(self, memory: Memory, new_task: Task, budget: Budget, rng: np.random.Generator) -> ReplayPlan:
        """Everything in memory, in the order in which it was learned; `budget` and `rng` are left aside."""
        return plan_everything("full", memory, new_task, budget)


def plan_everything(name: str, memory: Memory, new_task: Task, budget: Budget) -> ReplayPlan:
    """A plan of all train examples of all tasks in memory.

    Args:
        name: What the plan calls the strategy.
        memory: Tasks 1..i-1.
        new_task: Task i.
        budget: Only written down; the plan's notes say that it was left aside.
    """
    positions = [range(len(task.train)) for task in memory.tasks]
    weights = [len(task.train) for task in memory.tasks]
    notes = ["everything in memory is replayed, whatever the budget"] if any(weights) else []
    return plan_positions(name, memory, new_task, budget, positions, weights=weights, notes=notes)
