"""Prototype Instruction: examples that carry the most typical instructions of every earlier task."""

from __future__ import annotations

import numpy as np

from inscl.contract import Memory, Task
from inscl.contract.budget import Budget
from inscl.contract.plan import ReplayPlan
from inscl.contract.seams import Embedder
from inscl.errors import ConfigError, Problem
from inscl.replay.equal_shares import plan_positions, select_equal_shares
from inscl.replay.shares.clusters import best_clusters
from inscl.replay.shares.vectors import vectors_of

__all__ = ["PrototypeInstruction"]


class PrototypeInstruction:
    """Random examples of a task's most typical instructions (InsCL, baseline *Prototype Instruction*).

    Every earlier task has an equal share n of the budget. The embeddings of its distinct instructions are clustered by
    k-means, with the k of the best mean silhouette; the instruction nearest each centre (cosine) is a prototype. The n
    examples are drawn uniformly from those that carry a prototype; if these are too few, random unused examples of the
    task make up the number.

    The name is from the paper; the rule is recalled rather than read there, and the published code doesn't contain it.
    Decided here: the fill-up, the limit on k, and that all instructions of a task are prototypes where no silhouette is
    defined (one or two instructions, or all of them alike).

    Args:
        embedder: Instructions to vectors; asked only for what the memory doesn't hold.
        most_clusters: Largest k that is tried; every k costs a k-means and all pairwise distances.
        n_init: Starts of each k-means, of which the best counts.

    Raises:
        ConfigError: `most_clusters` is below 2 or `n_init` below 1.
    """

    def __init__(self, embedder: Embedder, most_clusters: int = 20, n_init: int = 3) -> None:
        limits = (("most_clusters", most_clusters, 2), ("n_init", n_init, 1))
        problems = [
            Problem(key, f"must be at least {least}, got {value}") for key, value, least in limits if value < least
        ]
        if problems:
            raise ConfigError(problems, "strategy prototype_instruction")
        self.embedder, self.most_clusters, self.n_init = embedder, most_clusters, n_init

    def plan(self, memory: Memory, new_task: Task, budget: Budget, rng: np.random.Generator) -> ReplayPlan:
        """Equal shares, each drawn from the carriers of a task's prototypes first."""
        notes: list[str] = []

        def select(task: Task, count: int) -> list[int]:
            if not count:
                return []
            typical, silhouette = self.prototypes(task, memory, rng)
            carries = np.isin(
                task.instruction_index, [k for k, text in enumerate(task.instructions) if text in typical]
            )
            carriers, others = np.flatnonzero(carries), np.flatnonzero(~carries)
            order = [*rng.permutation(carriers), *rng.permutation(others)]
            score = "" if silhouette is None else f" (silhouette {silhouette:.3f})"
            notes.append(f"{task.name}: {len(typical)} of {len(task.instructions)} instructions are prototypes{score}")
            if len(carriers) < count:
                notes.append(f"{task.name}: {count - len(carriers)} random examples fill up, no more carry a prototype")
            return [int(k) for k in order[:count]]

        positions = select_equal_shares(memory, new_task, budget, select, rng)
        parameters = {"most_clusters": self.most_clusters, "n_init": self.n_init}
        return plan_positions(
            "prototype_instruction", memory, new_task, budget, positions, parameters=parameters, notes=notes
        )

    def prototypes(self, task: Task, memory: Memory, rng: np.random.Generator) -> tuple[list[str], float | None]:
        """A task's typical instructions, those of the largest clusters first, and the silhouette of the clusters.

        Returns:
            Distinct instructions, at least one for a task with examples, and a number in [-1, 1]; where no silhouette
            is defined, all instructions and None.
        """
        texts = task.instructions
        if len(texts) < 3:
            return list(texts), None
        vectors = vectors_of(texts, memory, self.embedder)
        found = best_clusters(vectors, self.most_clusters, rng, self.n_init)
        if found is None:
            return list(texts), None
        clusters, silhouette = found
        return [texts[k] for k in clusters.prototypes()], silhouette
