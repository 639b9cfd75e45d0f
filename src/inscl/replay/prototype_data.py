"""Prototype Data: the most typical examples of every earlier task."""

from __future__ import annotations

import numpy as np

from inscl.contract import Memory, Task
from inscl.contract.budget import Budget
from inscl.contract.plan import ReplayPlan
from inscl.contract.seams import Embedder
from inscl.errors import ConfigError, Problem
from inscl.replay.equal_shares import plan_positions, select_equal_shares
from inscl.replay.shares.clusters import k_means
from inscl.replay.shares.vectors import vectors_of

__all__ = ["PrototypeData"]


class PrototypeData:
    r"""One example from each of k clusters of a task's examples (InsCL, baseline *Prototype Data*).

    Every earlier task has an equal share n of the budget. The embeddings of its examples' prompts (instruction, blank
    line, input) are divided into k = n clusters by k-means, and each cluster gives the member whose cosine with the
    centre is largest. Clusters are disjoint, so no example comes twice. Where prompts coincide there may be fewer
    clusters than n; random unused examples of the task make up the number.

    The name is from the paper; the rule is recalled rather than read there, and the published code doesn't contain it.
    That k-means works on the embeddings as they are, and that the fill-up is random, is decided here.

    Args:
        embedder: Prompts to vectors; asked only for what the memory doesn't hold.
        n_init: Starts of each k-means, of which the best counts.

    Raises:
        ConfigError: `n_init` is below 1.
    """

    def __init__(self, embedder: Embedder, n_init: int = 3) -> None:
        if n_init < 1:
            raise ConfigError([Problem("n_init", f"must be at least 1, got {n_init}")], "strategy prototype_data")
        self.embedder, self.n_init = embedder, n_init

    def plan(self, memory: Memory, new_task: Task, budget: Budget, rng: np.random.Generator) -> ReplayPlan:
        """Equal shares, each a task's prototypes, those of its largest clusters first."""
        filled: dict[str, int] = {}

        def select(task: Task, count: int) -> list[int]:
            chosen = self._prototypes(task, count, memory, rng)
            if len(chosen) < count:
                filled[task.name] = count - len(chosen)
                unused = sorted(set(range(len(task.train))) - set(chosen))
                chosen += [unused[k] for k in rng.permutation(len(unused))[: count - len(chosen)]]
            return chosen

        positions = select_equal_shares(memory, new_task, budget, select, rng)
        notes = [f"{task}: {n} random examples fill up, its prompts differ too little" for task, n in filled.items()]
        parameters = {"n_init": self.n_init}
        return plan_positions("prototype_data", memory, new_task, budget, positions, parameters=parameters, notes=notes)

    def _prototypes(self, task: Task, count: int, memory: Memory, rng: np.random.Generator) -> list[int]:
        if count in (0, len(task.train)):
            # All or none: there is nothing to choose, and nothing needs to be embedded.
            return list(range(count))
        vectors = vectors_of([example.prompt for example in task.train], memory, self.embedder)
        return k_means(vectors, count, rng, self.n_init).prototypes()
