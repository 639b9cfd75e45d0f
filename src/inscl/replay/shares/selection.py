"""Which examples of one earlier task are taken."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
from numpy.typing import NDArray

from inscl.contract import Task

__all__ = ["carriers_of", "rank_instructions", "select_by_information", "select_uniformly"]


def select_uniformly(task: Task, count: int, rng: np.random.Generator) -> list[int]:
    """Positions of `count` train examples, each as likely as any other; `count` must not exceed the train split."""
    return [int(k) for k in rng.permutation(len(task.train))[:count]]


def carriers_of(task: Task, wanted: Collection[str] | None = None) -> dict[str, NDArray[np.int64]]:
    """Positions of the train examples that carry each distinct instruction, ascending; no example is read.

    Args:
        task: The task.
        wanted: Of which of its instructions; None of all.
    """
    order = np.argsort(task.instruction_index, kind="stable")
    ends = np.cumsum(list(task.instruction_counts.values()), dtype=np.int64).tolist()
    found = {}
    for text, start, end in zip(task.instruction_counts, [0, *ends], ends, strict=False):
        if wanted is None or text in wanted:
            found[text] = order[start:end]
    return found


def rank_instructions(information: Mapping[str, float]) -> dict[str, int]:
    """1-based rank of each instruction, in that order: most InsInfo first; equal values keep the order they came in."""
    ordered = sorted(information, key=lambda text: -information[text])
    return {text: rank for rank, text in enumerate(ordered, start=1)}


def select_by_information(
    task: Task, information: Mapping[str, float], count: int, rng: np.random.Generator
) -> list[int]:
    r"""Take `count` examples so that instructions share them in proportion to their InsInfo.

    InsCL, Algorithm 1, for an earlier task with K distinct instructions and scores :math:`s_k = InsInfo_k / \sum
    InsInfo`:

    - ``count < K``: one random example of each of the `count` most informative instructions;
    - else :math:`\beta_k = \max(1, \lfloor s_k \cdot count \rfloor)` random examples of instruction k, at most what it
      has; too few in all are topped up with random unused examples of the task, too many are deleted at random, never
      the last example of an instruction.

    Where no instruction carries information (every tag is on every instruction), all count alike.

    Args:
        task: The earlier task.
        information: InsInfo of each of its distinct train instructions, nats, not negative.
        count: Examples to take, at most ``len(task.train)``.
        rng: The only source of chance.

    Returns:
        `count` different positions in ``task.train``, most informative instructions first.
    """
    by_rank = list(rank_instructions({text: information[text] for text in task.instructions}))
    if count < len(by_rank):
        carriers = carriers_of(task, set(by_rank[:count]))
        return [int(rng.choice(carriers[text])) for text in by_rank[:count]]
    carriers = carriers_of(task)
    total = sum(information[text] for text in by_rank)
    chosen: dict[str, list[int]] = {}
    for text in by_rank:
        score = information[text] / total if total > 0 else 1 / len(by_rank)
        # A product a rounding error below a whole number is that number.
        quota = min(max(1, int(score * count + 1e-9)), len(carriers[text]))
        chosen[text] = carriers[text][rng.permutation(len(carriers[text]))[:quota]].tolist()
    _top_up(chosen, task, count, rng)
    _trim(chosen, count, rng)
    return [position for text in by_rank for position in chosen[text]]


def _top_up(chosen: dict[str, list[int]], task: Task, count: int, rng: np.random.Generator) -> None:
    taken = {position for positions in chosen.values() for position in positions}
    unused = [position for position in range(len(task.train)) if position not in taken]
    missing = max(0, count - len(taken))
    texts, numbers = task.instructions, task.instruction_index
    for k in rng.permutation(len(unused))[:missing]:
        chosen[texts[numbers[unused[k]]]].append(unused[k])


def _trim(chosen: dict[str, list[int]], count: int, rng: np.random.Generator) -> None:
    for _ in range(sum(map(len, chosen.values())) - count):
        spare = [
            (text, place) for text, positions in chosen.items() if len(positions) > 1 for place in range(len(positions))
        ]
        text, place = spare[int(rng.integers(len(spare)))]
        del chosen[text][place]
