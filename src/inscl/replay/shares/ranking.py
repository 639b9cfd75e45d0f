"""Down a ranking of single examples of all tasks until the budget is filled."""

from __future__ import annotations

from collections.abc import Iterable

from inscl.contract import Memory, Task
from inscl.contract.budget import Budget

__all__ = ["take_ranked"]


def take_ranked(memory: Memory, new_task: Task, budget: Budget, ranking: Iterable[tuple[int, int]]) -> list[list[int]]:
    """Take examples in the order of `ranking`, over all tasks together, while the budget lasts.

    Of a budget in tokens, an example that doesn't fit any more is passed over and the next is tried, so that in the end
    no example of the ranking that was left out would still have fitted.

    Args:
        memory: Tasks 1..i-1.
        new_task: Task i.
        budget: Any kind of budget.
        ranking: Different pairs of a task's index in the memory and a position in its train split, the first to keep
            first.

    Returns:
        For each earlier task, the positions taken, in the order of the ranking.
    """
    positions: list[list[int]] = [[] for _ in memory.tasks]
    left, tokens = budget.examples(memory, new_task), budget.tokens
    # Whoever counts tokens comes past every example; task by task, so that a store is read in order.
    costs = [[budget.count_tokens(e) for e in task.train] if tokens is not None else [] for task in memory.tasks]
    for j, k in ranking:
        if left == 0:
            break
        if tokens is not None:
            cost = costs[j][k]
            if cost > tokens:
                continue
            tokens -= cost
        positions[j].append(k)
        left -= 1
    return positions
