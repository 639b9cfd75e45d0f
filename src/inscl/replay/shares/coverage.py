"""Examples drawn so that nothing comes again before everything else had its turn, over all stages together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import numpy as np

from inscl.contract import Memory, Task
from inscl.replay.shares.selection import carriers_of

__all__ = ["select_unseen", "times_replayed"]


def times_replayed(memory: Memory) -> dict[str, Counter[str]]:
    """Task -> id of an example -> how often it was replayed at earlier stages; tasks never replayed are left out."""
    times: dict[str, Counter[str]] = {}
    for stage in memory.past:
        for pick in stage.plan.picks:
            times.setdefault(pick.task, Counter())[pick.example.id] += 1
    return times


def select_unseen(
    task: Task,
    information: Mapping[str, float],
    count: int,
    times: Mapping[str, int],
    rng: np.random.Generator,
) -> list[int]:
    """Take `count` examples, those first that were replayed least often; instructions take turns.

    Each draw is among the examples that were replayed least often, those taken here counted. Of the instructions that
    carry such an example, those with the fewest turns in this pass through the task are eligible; one is drawn in
    proportion to its InsInfo, and one of its eligible examples at random. So no example is replayed again before every
    example of its task was, and no instruction has a second turn before each that still has an example left had one.

    The rule is designed here; the InsCL paper draws anew at each stage.

    Args:
        task: The earlier task.
        information: InsInfo of each of its distinct train instructions, nats; where none carries any, all count alike.
            Empty means the same.
        count: Examples to take, at most ``len(task.train)``.
        times: Id of an example -> how often it was replayed at earlier stages.
        rng: The only source of chance.

    Returns:
        `count` different positions in ``task.train``, in the order drawn.
    """
    seen = np.array([times.get(one, 0) for one in task.train_ids], dtype=np.int64)
    free = np.ones(len(seen), dtype=bool)
    carriers = carriers_of(task)
    texts = list(carriers)
    chosen: list[int] = []
    while len(chosen) < count:
        least = seen[free].min()
        left, turns = {}, {}
        for text in texts:
            mine = carriers[text]
            unseen = mine[free[mine] & (seen[mine] == least)]
            if len(unseen):
                left[text] = unseen[rng.permutation(len(unseen))].tolist()
                turns[text] = int(np.maximum(seen[mine] - least, 0).sum())
        while left and len(chosen) < count:
            fewest = min(turns[text] for text in left)
            eligible = [text for text in left if turns[text] == fewest]
            text = eligible[_draw([information.get(text, 0.0) for text in eligible], rng)]
            chosen.append(left[text].pop())
            turns[text] += 1
            if not left[text]:
                del left[text]
        taken = np.array(chosen, dtype=np.int64)
        free[taken] = False
    return chosen


def _draw(weights: list[float], rng: np.random.Generator) -> int:
    total = sum(weights)
    return int(rng.choice(len(weights), p=[w / total for w in weights] if total > 0 else None))
