"""A replay strategy: the task learned last comes first."""

from __future__ import annotations

import numpy as np

from inscl.contract import Memory, Task
from inscl.replay import Budget, Pick, ReplayPlan, TaskShare


class Newest:
    """Rehearse the task learned last, then the one before it, until the budget is spent."""

    def plan(self, memory: Memory, new_task: Task, budget: Budget, rng: np.random.Generator) -> ReplayPlan:
        left, cost = budget.examples(memory, new_task), lambda example: 1
        if budget.tokens is not None:
            left, cost = budget.tokens, budget.count_tokens
        picks: list[Pick] = []
        shares: list[TaskShare] = []
        for task in reversed(memory.tasks):
            chosen = []
            for k in rng.permutation(len(task.train)):
                if cost(task.train[k]) <= left:
                    chosen.append(task.train[k])
                    left -= cost(task.train[k])
            picks[:0] = [Pick(example, task.name, len(chosen)) for example in chosen]
            shares.insert(0, TaskShare(task.name, len(task.train), len(chosen), weight=len(chosen)))
        return ReplayPlan(new_task.name, "newest", tuple(picks), tuple(shares), budget=budget.to_json())
