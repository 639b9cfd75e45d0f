"""More of the same: No Replay that trains as long as a strategy with replay does."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from inscl.contract import Memory, Task
from inscl.contract.budget import Budget
from inscl.contract.plan import Pick, ReplayPlan, TaskShare
from inscl.contract.traits import StrategyTraits

__all__ = ["RepeatNewTask"]


class RepeatNewTask:
    """Fill the budget with the new task's own examples: nothing old is replayed, but equally many steps are taken.

    *No Replay* sees fewer examples than a strategy with replay, so that beside it two things differ: what is trained
    on, and for how long. With this strategy only the first does. It takes as many examples as Random Replay takes at
    the same stage, so that batches and optimiser steps are the same in number; with a budget in tokens it takes as many
    tokens, to within one example. Its picks come more than once where the budget is larger than the new task. A control
    of this package; the InsCL paper has none like it.
    """

    traits = StrategyTraits(rehearses_new_task=True)

    def plan(self, memory: Memory, new_task: Task, budget: Budget, rng: np.random.Generator) -> ReplayPlan:
        """The new task's train examples, in random order, each as often as any other (give or take once).

        At the first stage nothing, since nothing would be replayed either.
        """
        if not len(new_task.train):
            positions: list[int] = []
        elif budget.tokens is not None:
            positions = self._within_tokens(memory, new_task, budget, rng)
        else:
            order = _shuffled_for_ever(len(new_task.train), rng)
            positions = [next(order) for _ in range(budget.examples(memory, new_task))]
        picks = tuple(Pick(new_task.train[k], new_task.name, len(positions)) for k in positions)
        shares = tuple(TaskShare(task.name, len(task.train), 0, 0.0) for task in memory.tasks)
        notes = ("the budget is filled with more of the new task: nothing is replayed",) if picks else ()
        return ReplayPlan(new_task.name, "repeat", picks, shares, budget=budget.to_json(), notes=notes)

    @staticmethod
    def _within_tokens(memory: Memory, new_task: Task, budget: Budget, rng: np.random.Generator) -> list[int]:
        """Whole passes while they fit, then whatever of the next one still does."""
        held = sum(budget.count_tokens(example) for task in memory.tasks for example in task.train)
        left = min(budget.tokens or 0, held)
        costs = [budget.count_tokens(example) for example in new_task.train]
        order = _shuffled_for_ever(len(costs), rng)
        taken: list[int] = []
        passes, rest = divmod(left, max(1, sum(costs))) if sum(costs) else (0, 0)
        for k in (next(order) for _ in range((passes + 1) * len(costs))):
            if len(taken) < passes * len(costs):
                taken.append(k)
            elif costs[k] <= rest:
                taken.append(k)
                rest -= costs[k]
        return taken


def _shuffled_for_ever(count: int, rng: np.random.Generator) -> Iterator[int]:
    """Passes over 0..count-1, each in an order of its own."""
    while True:
        yield from (int(k) for k in rng.permutation(count))
