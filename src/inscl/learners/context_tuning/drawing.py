"""Which examples become demonstrations of a context, and which are learned behind it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from inscl.contract import Example, Task
from inscl.contract.plan import ReplayPlan

__all__ = ["Drawn", "draw"]

Block = list[tuple[int, int]]
"""An example as part of a context: its tokens, each with its role."""


@dataclass(frozen=True)
class Drawn:
    """What was drawn.

    Attributes:
        shown: The demonstrations with the names of their tasks, replayed ones first.
        blocks: Each of them as tokens with roles.
        rows: What is learned behind them: task, example, and the weight of its loss.
        left_out: How many more demonstrations were wanted that don't fit.
    """

    shown: list[tuple[str, Example]]
    blocks: list[Block]
    rows: list[tuple[str, Example, float]]
    left_out: int


def draw(
    task: Task,
    plan: ReplayPlan,
    k: int,
    replayed: int,
    room: int,
    block: Callable[[Example], Block],
    chance: np.random.Generator,
) -> Drawn:
    """Demonstrations at random: those of the task first, so that replayed ones are left out where all don't fit.

    Examples that are shown are not learned behind the context, where they could be copied; a task all of whose
    examples are shown has no others, so it learns these.

    Args:
        task: The new task.
        plan: What is replayed; its picks of other tasks may be shown, too.
        k: How many demonstrations are wanted.
        replayed: How many of them are to be of other tasks; at least one is of the task, if it has examples.
        room: Most tokens of all of them.
        block: Makes tokens with roles of an example.
        chance: Where randomness comes from.
    """
    own = {example.id: (task.name, example, 1.0) for example in task.train}
    own |= {pick.example.id: (pick.task, pick.example, pick.weight) for pick in plan.picks if pick.task == task.name}
    others = {pick.example.id: (pick.task, pick.example, pick.weight) for pick in plan.picks if pick.task != task.name}
    others = {name: one for name, one in others.items() if name not in own}
    wanted_others = min(replayed, len(others), max(k - 1, 0) if own else k)
    wanted_own = min(k - wanted_others, len(own))
    shown: list[tuple[str, Example, float]] = []
    blocks: list[Block] = []
    for rows, wanted in ((list(own.values()), wanted_own), (list(others.values()), wanted_others)):
        found = 0
        for place in chance.permutation(len(rows)):
            if found == wanted:
                break
            tokens = block(rows[place][1])
            if len(tokens) <= room:
                # The last drawn stands first.
                shown.insert(0, rows[place])
                blocks.insert(0, tokens)
                room -= len(tokens)
                found += 1
    rows = _behind([*own.values(), *others.values()], {one.id for _, one, _ in shown})
    left_out = wanted_own + wanted_others - len(shown)
    return Drawn([(name, one) for name, one, _ in shown], blocks, rows, left_out)


def _behind(examples: Sequence[tuple[str, Example, float]], shown: set[str]) -> list[tuple[str, Example, float]]:
    """What is learned behind the demonstrations."""
    return [one for one in examples if one[1].id not in shown] or list(examples)
