"""Budgets in tokens: about as many examples as they pay for, then whatever still fits."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

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
    waiting: Callable[[Task], NDArray[np.int64]] | None = None,
) -> list[list[int]]:
    """Choose examples of each earlier task under a budget in tokens.

    A task is given tokens in proportion to its weight (`allocate`, at most what it has), which its mean example turns
    into a number n. `select` picks n; those that fit the task's tokens are kept, and the task's other examples follow
    in random order. What is left over is offered in turn to all tasks that have a weight, and then to the others, so
    that in the end no example that was left out would still have fitted.

    Args:
        tasks: Tasks 1..i-1.
        weights: Shape (len(tasks),), as for `allocate`.
        budget: A budget with `tokens` set; they count prompt and answer.
        select: Positions of n train examples of a task, the ones to keep first.
        rng: Orders the examples that `select` left out.
        waiting: A number for each train example of a task: of those that `select` left out, the ones with the lowest
            come first; None takes all alike.

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
        rest = [int(k) for k in rng.permutation(len(cost)) if int(k) in left_out]
        if waiting is not None:
            rest.sort(key=waiting(task).__getitem__)
        taken = _while_they_fit(chosen, cost, int(share))
        spent += sum(cost[k] for k in taken)
        orders.append([*chosen, *rest])
        kept.append(set(taken))
    weighty = [j for j, weight in enumerate(weights) if weight > 0]
    for group in (weighty, [j for j in range(len(tasks)) if j not in weighty]):
        spent += _offer(group, orders, costs, kept, limit - spent)
    return [[k for k in order if k in taken] for order, taken in zip(orders, kept, strict=True)]


def _offer(
    group: Iterable[int],
    orders: Sequence[Sequence[int]],
    costs: Sequence[Sequence[int]],
    kept: Sequence[set[int]],
    left: int,
) -> int:
    """Add to `kept` what still fits of some tasks' examples; returns the tokens that it takes.

    Round robin, so that the left-over doesn't all go to the first task.
    """
    tasks, spent = list(group), 0
    for turn in range(max((len(orders[j]) for j in tasks), default=0)):
        for j in tasks:
            if turn < len(orders[j]) and (one := orders[j][turn]) not in kept[j] and spent + costs[j][one] <= left:
                kept[j].add(one)
                spent += costs[j][one]
    return spent


def _while_they_fit(order: Sequence[int], cost: Sequence[int], limit: int) -> list[int]:
    taken, used = [], 0
    for k in order:
        if used + cost[k] <= limit:
            taken.append(k)
            used += cost[k]
    return taken
