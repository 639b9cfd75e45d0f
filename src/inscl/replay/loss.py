"""Highest Loss: replay what the model answers worst now."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inscl.contract import Example, Memory, Task
from inscl.contract.budget import Budget
from inscl.contract.plan import ReplayPlan
from inscl.errors import ConfigError, Problem
from inscl.replay.equal_shares import plan_positions, select_equal_shares
from inscl.replay.shares.losses import checked_losses
from inscl.replay.shares.selection import select_uniformly

__all__ = ["HighestLoss"]


class HighestLoss:
    """The examples with the highest loss in a random pool; an equal share for every earlier task.

    A task with share n offers ``candidates * n`` examples drawn uniformly, at most all it has; the n whose loss under
    the model as it is now is highest are replayed. What the model still knows takes no room, and what it
    has forgotten comes back. The pool keeps the scoring affordable, and the same outliers from being picked at every
    stage. This is no baseline of the InsCL paper; the rule is designed here.

    A task that is replayed whole leaves nothing to choose and is not scored.

    Args:
        losses: n examples to n losses under the current model, nats per answer token, shape (n,). The plan depends on
            its arguments and on this.
        candidates: Size of the pool, in shares.

    Raises:
        ConfigError: `candidates` is below 1.
    """

    def __init__(self, losses: Callable[[Sequence[Example]], NDArray[Any]], candidates: int = 4) -> None:
        if candidates < 1:
            raise ConfigError([Problem("candidates", f"must be at least 1, got {candidates}")], "strategy loss")
        self.losses, self.candidates = losses, candidates

    def plan(self, memory: Memory, new_task: Task, budget: Budget, rng: np.random.Generator) -> ReplayPlan:
        """Equal shares, highest loss first; the notes give each task's mean loss, picked and passed over.

        Raises:
            ConfigError: `losses` returned another number of values than examples.
            ModelError: A loss is not a finite number.
        """
        scored: dict[str, dict[int, float]] = {}

        def select(task: Task, count: int) -> list[int]:
            if count in (0, len(task.train)):
                return list(range(count))
            pool = select_uniformly(task, min(self.candidates * count, len(task.train)), rng)
            losses = checked_losses(self.losses, task.name, task.examples_at(pool))
            scored[task.name] = dict(zip(pool, losses.tolist(), strict=True))
            return [pool[k] for k in np.argsort(-losses, kind="stable")[:count]]

        positions = select_equal_shares(memory, new_task, budget, select, rng)
        taken = {task.name: set(chosen) for task, chosen in zip(memory.tasks, positions, strict=True)}
        notes = [_note(name, losses, taken[name]) for name, losses in scored.items()]
        parameters = {"candidates": self.candidates}
        return plan_positions("loss", memory, new_task, budget, positions, parameters=parameters, notes=notes)


def _note(name: str, losses: Mapping[int, float], taken: set[int]) -> str:
    """Means over the pool alone: what a budget in tokens adds from outside it was never scored."""
    picked = [loss for k, loss in losses.items() if k in taken]
    passed = [loss for k, loss in losses.items() if k not in taken]
    means = [f"{np.mean(values):.4f} ({len(values)})" if values else "none" for values in (picked, passed)]
    return f"{name}: mean loss of the pool's picked examples {means[0]}, of those passed over {means[1]}"
