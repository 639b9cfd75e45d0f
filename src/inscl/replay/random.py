"""Random Replay: an equal share of every earlier task, drawn at random. The baseline to beat."""

from __future__ import annotations

import numpy as np

from inscl.contract import Memory, Task
from inscl.contract.budget import Budget
from inscl.contract.plan import ReplayPlan
from inscl.replay.inscl import InsCL

__all__ = ["RandomReplay"]


class RandomReplay:
    """The same number of uniformly drawn examples from each earlier task (InsCL, baseline *Random Replay*).

    It is InsCL with both of its ideas switched off, so that a comparison differs in nothing else.
    """

    def plan(self, memory: Memory, new_task: Task, budget: Budget, rng: np.random.Generator) -> ReplayPlan:
        """Equal shares (largest remainder), uniform picks, both within what each task has."""
        return InsCL(dynamic=False, insinfo=False, name="random").plan(memory, new_task, budget, rng)
