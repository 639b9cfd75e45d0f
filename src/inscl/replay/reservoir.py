"""Reservoir: a memory of fixed size that doesn't know of tasks and treats everything it ever saw alike."""

from __future__ import annotations

import hashlib
import json

import numpy as np

from inscl.contract import Memory, Task
from inscl.contract.budget import Budget
from inscl.contract.plan import ReplayPlan
from inscl.errors import ConfigError, Problem
from inscl.replay.equal_shares import plan_positions
from inscl.replay.shares.ranking import take_ranked

__all__ = ["Reservoir"]


class Reservoir:
    r"""A uniform sample of fixed size of everything seen, kept by reservoir sampling.

    Vitter's algorithm R (*Random Sampling with a Reservoir*, ACM TOMS 11, 1985) keeps k examples and lets the t-th
    replace one of them with probability :math:`k / t`, so that after every t each k-subset is equally likely. It needs
    a state that lives as long as the stream. A plan has none, so this is its equivalent by *bottom-k sampling* (Cohen
    and Kaplan, *Summarizing data using bottom-k sketches*, PODC 2007): every example has a random priority, a hash of
    seed, task name, position and id, and the k smallest priorities of all that was seen are kept.

    - *Uniform*: the priorities are independent of each other and of the order, so each k-subset is equally likely to
      hold the k smallest.
    - *What was evicted never comes back*: the k-th smallest priority of a growing set never grows. An example above
      it, once out, stays out, so the memory is one that could have been kept without storing the rest.
    - The chance that the t-th example enters is that of being among the k smallest of t, :math:`k / t`, as in
      algorithm R.

    Tasks have no equal shares: each is there in proportion to its size. Both sources are recalled, not reread.

    Args:
        seed: Of the priorities. One seed for a whole run, or the memory isn't the same from stage to stage.
        capacity: Examples kept. With more kept than the budget asks, a plan is a uniform choice of them; with fewer,
            the budget isn't filled. None keeps as many as the budget asks (all that was seen, of which those of
            smallest priority fit, for a budget in tokens); the memory then grows where the budget does.

    Raises:
        ConfigError: `capacity` is negative.
    """

    def __init__(self, seed: int = 0, capacity: int | None = None) -> None:
        if capacity is not None and capacity < 0:
            raise ConfigError([Problem("capacity", f"must be zero or more, got {capacity}")], "strategy reservoir")
        self.seed, self.capacity = seed, capacity

    def plan(self, memory: Memory, new_task: Task, budget: Budget, rng: np.random.Generator) -> ReplayPlan:
        """A uniform choice of what is kept, as much as the budget asks; no stage knows where a task ended."""
        kept = self.kept(memory)
        if self.capacity is not None:
            kept = [kept[k] for k in rng.permutation(len(kept))]
        positions = take_ranked(memory, new_task, budget, kept)
        held = np.bincount([j for j, _ in kept], minlength=len(memory)) if kept else np.zeros(len(memory))
        missing = budget.examples(memory, new_task) - len(kept)
        notes = (
            [f"the reservoir holds {len(kept)} examples, {missing} fewer than the budget asks for"]
            if missing > 0 and budget.tokens is None
            else []
        )
        return plan_positions(
            "reservoir",
            memory,
            new_task,
            budget,
            positions,
            weights=held,
            parameters={"seed": self.seed, "capacity": self.capacity},
            notes=notes,
        )

    def kept(self, memory: Memory) -> list[tuple[int, int]]:
        """What the reservoir holds after the tasks in memory, smallest priority first.

        Returns:
            Pairs of a task's index in the memory and a position in its train split; at most `capacity`, or all.
        """
        ranked = [
            (self._priority(task.name, k, example_id), j, k)
            for j, task in enumerate(memory.tasks)
            for k, example_id in enumerate(task.train_ids)
        ]
        return [(j, k) for _, j, k in sorted(ranked)[: self.capacity]]

    def _priority(self, task: str, position: int, example_id: str) -> bytes:
        # The position tells equal examples of a task apart, the name equal examples of two tasks.
        content = json.dumps([self.seed, task, position, example_id])
        return hashlib.sha256(content.encode()).digest()
