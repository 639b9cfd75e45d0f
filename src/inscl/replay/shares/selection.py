"""Which examples of one earlier task are taken."""

from __future__ import annotations

from collections.abc import Collection

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


def rank_instructions(information: NDArray[np.float64]) -> NDArray[np.int64]:
    """1-based rank of each instruction: most InsInfo first; equal values keep the order they came in."""
    ranks = np.empty(len(information), dtype=np.int64)
    ranks[_by_rank(information)] = np.arange(1, len(information) + 1)
    return ranks


def select_by_information(
    task: Task, information: NDArray[np.float64], count: int, rng: np.random.Generator
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
        information: InsInfo of its distinct train instructions in their order, nats, not negative; shape (K,).
        count: Examples to take, at most ``len(task.train)``.
        rng: The only source of chance.

    Returns:
        `count` different positions in ``task.train``, most informative instructions first.
    """
    if not count:
        return []
    by_rank = _by_rank(information).tolist()
    order = np.argsort(task.instruction_index, kind="stable")
    ends = np.cumsum(np.bincount(task.instruction_index, minlength=len(by_rank)))

    def carriers(k: int) -> NDArray[np.int64]:
        return order[ends[k - 1] if k else 0 : ends[k]]

    if count < len(by_rank):
        return [int(rng.choice(carriers(k))) for k in by_rank[:count]]
    total = sum(information[by_rank].tolist())
    chosen: dict[int, list[int]] = {}
    for k in by_rank:
        own, score = carriers(k), float(information[k]) / total if total > 0 else 1 / len(by_rank)
        # A product a rounding error below a whole number is that number.
        quota = min(max(1, int(score * count + 1e-9)), len(own))
        chosen[k] = own[rng.permutation(len(own))[:quota]].tolist()
    _top_up(chosen, task, count, rng)
    _trim(chosen, count, rng)
    return [position for k in by_rank for position in chosen[k]]


def _by_rank(information: NDArray[np.float64]) -> NDArray[np.int64]:
    return np.argsort(-information, kind="stable")


def _top_up(chosen: dict[int, list[int]], task: Task, count: int, rng: np.random.Generator) -> None:
    taken = {position for positions in chosen.values() for position in positions}
    unused = [position for position in range(len(task.train)) if position not in taken]
    missing = max(0, count - len(taken))
    for k in rng.permutation(len(unused))[:missing]:
        chosen[int(task.instruction_index[unused[k]])].append(unused[k])


def _trim(chosen: dict[int, list[int]], count: int, rng: np.random.Generator) -> None:
    for _ in range(sum(map(len, chosen.values())) - count):
        spare = [
            (number, place)
            for number, positions in chosen.items()
            if len(positions) > 1
            for place in range(len(positions))
        ]
        number, place = spare[int(rng.integers(len(spare)))]
        del chosen[number][place]
