"""Diverse Instruction: replay examples whose instructions are least similar to the new task's."""

from __future__ import annotations

import numpy as np

from inscl.contract import Memory, Task
from inscl.contract.budget import Budget
from inscl.contract.plan import ReplayPlan
from inscl.contract.seams import Embedder
from inscl.replay.equal_shares import plan_positions
from inscl.replay.shares.ranking import take_ranked
from inscl.replay.shares.selection import carriers_of
from inscl.replay.shares.vectors import cosines, vectors_of

__all__ = ["DiverseInstruction"]


class DiverseInstruction:
    r"""The data of the earlier instructions least similar to the new task's (InsCL, baseline *Diverse Instruction*).

    With the new task's distinct instructions :math:`q_1..q_m` and the distinct instructions :math:`p` of all earlier
    tasks together, the ranking is by the column sums :math:`\sum_k \cos(q_k, p)` of the cosine matrix, smallest first.
    All examples of the first instruction are replayed, in random order, then those of the next, until the budget is
    filled; of the last one only as many as it takes. Shares are not equal: a task may get nothing.

    That the least similar instructions are taken, as in Dynosaur (Yin et al. 2023), is told of the paper; the column
    sums are recalled rather than read there, and the published code doesn't contain them. Going down the ranking
    until the budget is filled, and ties in order of first appearance, are decided here.

    Args:
        embedder: Instructions to vectors; asked only for what the memory doesn't hold.
    """

    def __init__(self, embedder: Embedder) -> None:
        self.embedder = embedder

    def plan(self, memory: Memory, new_task: Task, budget: Budget, rng: np.random.Generator) -> ReplayPlan:
        """Down the ranking until the budget is filled; of a budget in tokens, everything on the way that still fits."""
        # Without a budget nothing is compared, and nothing needs to be embedded.
        similarity = self.similarities(memory, new_task) if budget.examples(memory, new_task) else {}
        carriers: dict[str, list[tuple[int, int]]] = {text: [] for text in similarity}
        for j, task in enumerate(memory.tasks if similarity else ()):
            for text, places in carriers_of(task).items():
                carriers[text] += ((j, k) for k in places.tolist())
        ranking = (where[at] for where in carriers.values() for at in rng.permutation(len(where)))
        positions = take_ranked(memory, new_task, budget, ranking)
        weights = [len(taken) for taken in positions]
        notes = _notes(memory, positions, similarity)
        return plan_positions("diverse_instruction", memory, new_task, budget, positions, weights=weights, notes=notes)

    def similarities(self, memory: Memory, new_task: Task) -> dict[str, float]:
        """Column sum of each distinct earlier instruction: its cosines with the new task's, least similar first.

        Returns:
            Instruction to a sum in [-m, m], m the number of the new task's distinct instructions; ascending.
        """
        earlier = list(dict.fromkeys(text for task in memory.tasks for text in task.instructions))
        current = list(new_task.instructions)
        # Together, so that the embedder is asked once.
        vectors = vectors_of([*current, *earlier], memory, self.embedder)
        sums = np.round(cosines(vectors[: len(current)], vectors[len(current) :]).sum(axis=0), 9)
        return {earlier[c]: float(sums[c]) for c in np.argsort(sums, kind="stable")}


def _notes(memory: Memory, positions: list[list[int]], similarity: dict[str, float]) -> list[str]:
    taken = {
        task.instructions[number]
        for task, chosen in zip(memory.tasks, positions, strict=True)
        for number in np.unique(task.instruction_index[np.array(chosen, dtype=np.int64)])
    }
    if not taken:
        return []
    sums = [similarity[text] for text in taken]
    return [
        f"{len(taken)} of {len(similarity)} earlier instructions are replayed, with sums of cosines from "
        f"{min(sums):.3f} to {max(sums):.3f}; the largest of all is {max(similarity.values()):.3f}"
    ]
