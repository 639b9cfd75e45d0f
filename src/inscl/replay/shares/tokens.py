"""Budgets in tokens: about as many examples as they pay for, then whatever still fits."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from inscl.contract import Task
from inscl.contract.budget import Budget
from inscl.replay.shares.allocation import allocate

__all__ = ["select_within_tokens"]


def select_within_tokens(
    tasks: Sequence[Task],
    weights: NDArray[np.float64],
    budget: Budget,
    select: Callable[[Task, int], list[int]],
    rng: np.random.Generator,
) -> list[list[int]]:
    """Choose examples of each earlier task under a budget in tokens.

    A task is given tokens in proportion to its weight (`allocate`, at most what it has), which its mean example turns
    into a number n. `select` picks n; those that fit the task's tokens are kept, and the task's other examples follow
    in random order. What is left over is offered to all tasks in turn, so that in the end no example that was left
    out would still have fitted.

    Args:
        tasks: Tasks 1..i-1.
        weights: Shape (len(tasks),), as for `allocate`.
        budget: A budget with `tokens` set; they count prompt and answer.
        select: Positions of n train examples of a task, the ones to keep first.
        rng: Orders the examples that `select` left out.

    Returns:
        For each task, positions in its train split; their tokens sum to at most ``budget.tokens``.
    """
    limit = budget.tokens or 0
    costs = [[budget.count_tokens(example) for example in task.train] for task in tasks]
    shares = allocate(weights, limit, [sum(cost) for cost in costs])
    orders, kept, spent = [], [], 0
    for task, cost, share in zip(tasks, costs, shares, strict=True):
        affordable = min(len(cost), int(share * len(cost) / sum(cost))) if sum(cost) else len(cost)
        chosen = select(task, affordable)
        left_out = set(range(len(cost))) - set(chosen)
        order = [*chosen, *(int(k) for k in rng.permutation(len(cost)) if int(k) in left_out)]
        taken = _while_they_fit(order[: len(chosen)], cost, int(share))
        spent += sum(cost[k] for k in taken)
        orders.append(order)
        kept.append(set(taken))
    # Round robin, so that the left-over doesn't all go to the first task.
    for turn in range(max(map(len, orders), default=0)):
        for order, cost, taken_set in zip(orders, costs, kept, strict=True):
            if turn < len(order) and order[turn] not in taken_set and spent + cost[order[turn]] <= limit:
                taken_set.add(order[turn])
                spent += cost[order[turn]]
    return [[k for k in order if k in taken] for order, taken in zip(orders, kept, strict=True)]


def _while_they_fit(order: Sequence[int], cost: Sequence[int], limit: int) -> list[int]:
    taken, used = [], 0
    for k in order:
        if used + cost[k] <= limit:
            taken.append(k)
            used += cost[k]
    return taken
