"""What the baselines share: equal shares of every earlier task, and building a plan from chosen positions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from inscl.contract import Memory, Task
from inscl.contract.budget import Budget
from inscl.contract.plan import InstructionShare, Pick, ReplayPlan, TaskShare
from inscl.replay.shares.allocation import allocate
from inscl.replay.shares.tokens import select_within_tokens

__all__ = ["plan_positions", "select_equal_shares"]


def select_equal_shares(
    memory: Memory,
    new_task: Task,
    budget: Budget,
    select: Callable[[Task, int], list[int]],
    rng: np.random.Generator,
) -> list[list[int]]:
    """Give every earlier task the same part of the budget and let `select` choose inside each.

    Shares are made by `allocate` with what each task holds as its capacity; a budget in tokens is kept by
    `select_within_tokens`. This is how *Random Replay* divides (InsCL: r examples a task), so that a
    strategy built on it differs from Random Replay in nothing but `select`.

    Args:
        memory: Tasks 1..i-1.
        new_task: Task i.
        budget: Any kind of budget.
        select: Positions of n different train examples of a task, the ones to keep first; n is never more than the
            task has, and it is not called for n = 0 unless the budget is in tokens.
        rng: Orders what `select` left out when tokens are still left.

    Returns:
        For each earlier task, positions in its train split.
    """
    weights = np.ones(len(memory))
    if budget.tokens is not None:
        return select_within_tokens(memory.tasks, weights, budget, select, rng)
    capacity = [len(task.train) for task in memory.tasks]
    allocation = allocate(weights, budget.examples(memory, new_task), capacity)
    return [select(task, int(n)) if n else [] for task, n in zip(memory.tasks, allocation, strict=True)]


def plan_positions(
    name: str,
    memory: Memory,
    new_task: Task,
    budget: Budget,
    positions: Sequence[Sequence[int]],
    *,
    weights: ArrayLike | None = None,
    parameters: Mapping[str, Any] | None = None,
    notes: Sequence[str] = (),
) -> ReplayPlan:
    """Write chosen positions down as a plan.

    Args:
        name: What the plan calls the strategy.
        memory: Tasks 1..i-1.
        new_task: Task i.
        budget: The budget as configured.
        positions: For each earlier task, the positions in its train split, in the order of replay.
        weights: Shape (len(memory),), what each task's allocation was proportional to; None means all alike.
        parameters: The strategy's settings.
        notes: What the plan's reader should know; a budget that the memory can't fill is added to it.
    """
    known_weights = np.ones(len(memory)) if weights is None else np.asarray(weights, dtype=np.float64)
    picks, shares = [], []
    for task, taken, weight in zip(memory.tasks, positions, known_weights, strict=True):
        chosen = task.examples_at(taken)
        picks += [Pick(example, task.name, len(taken)) for example in chosen]
        picked = Counter(example.instruction for example in chosen)
        table = tuple(InstructionShare(text, n, picked[text]) for text, n in task.instruction_counts.items())
        shares.append(TaskShare(task.name, len(task.train), len(taken), float(weight), instructions=table))
    return ReplayPlan(
        new_task.name,
        name,
        tuple(picks),
        tuple(shares),
        dict(parameters or {}),
        budget.to_json(),
        (*notes, *_shortage(memory, budget)),
    )


def _shortage(memory: Memory, budget: Budget) -> tuple[str, ...]:
    held = sum(len(task.train) for task in memory.tasks)
    wanted = budget.per_task * len(memory) if budget.per_task is not None else budget.total
    if wanted is None or wanted <= held:
        return ()
    return (f"the budget asks for {wanted} examples and the memory holds {held}",)
