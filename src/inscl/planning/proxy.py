r"""Which earlier tasks a new one endangers, measured on a small model in place of the one that is to be taught.

Before each stage the proxy, which has learned the earlier tasks, learns a part of the new task alone, and the loss of
each earlier task on a fixed sample of its train rows is read before and after:

.. math:: D_{ij} = L_j(\theta_{i-1} \text{ after a part of task } i) - L_j(\theta_{i-1})

That is what the strategy `measured` plans by. Then the proxy is put back and learns the part together with a part of
what was planned, as large, so that it meets the next stage as the large model will: having rehearsed.

That the order of tasks by their forgetting carries over from small to large models is claimed elsewhere; nothing here
depends on it but the worth of the plan.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np

from inscl.config.settings import RunConfig
from inscl.contract import Memory, Stream, Task
from inscl.contract.plan import ReplayPlan
from inscl.contract.seams import Persistent
from inscl.contract.traits import LearnerTraits, traits_of
from inscl.engine.plan import stage_rng
from inscl.errors import ConfigError, Problem
from inscl.replay.measured import MeasuredForgetting
from inscl.replay.shares.losses import checked_losses

if TYPE_CHECKING:
    from inscl.contract import Example
    from inscl.engine.parts import Parts

__all__ = ["Proxy", "ProxyPlanner"]


@dataclass(frozen=True)
class Proxy:
    """What stands in for the model that is to be taught.

    Attributes:
        model: A model as in ``model.name``.
        rows: Most rows of each task that it learns, at least 1.
        probes: Most train rows of each task whose loss is read, at least 1; apart from those that it learns where a
            task has enough.

    Raises:
        ConfigError: A number can't be.
    """

    model: str
    rows: int = 64
    probes: int = 16

    def __post_init__(self) -> None:
        """Refuse numbers that can't be."""
        given = {"rows": self.rows, "probes": self.probes}
        problems = [Problem(key, f"must be at least 1, got {value!r}") for key, value in given.items() if value < 1]
        if problems:
            raise ConfigError(problems, "proxy")

    def settings(self, config: RunConfig) -> RunConfig:
        """The configuration with the proxy in place of the model."""
        return config.model_copy(update={"model": config.model.model_copy(update={"name": self.model})})

    def taught(self, task: Task) -> list[Example]:
        """The rows of a task that the proxy learns; ids decide, not chance."""
        return task.examples_at(_order(task)[: self.rows])

    def probed(self, task: Task) -> list[Example]:
        """The rows of a task whose loss is read."""
        return task.examples_at(_order(task)[::-1][: self.probes])


class ProxyPlanner:
    """Plans stage after stage by what a proxy forgets.

    Args:
        proxy: What stands in.
        parts: Of its settings: its strategy, its learner, its losses.

    Raises:
        ConfigError: The strategy isn't `measured`, or the learner can't be put back or tells no likelihoods.
    """

    def __init__(self, proxy: Proxy, parts: Parts) -> None:
        self.proxy, self.parts = proxy, parts
        strategy, training = parts.strategy, parts.config.training
        if not isinstance(strategy, MeasuredForgetting):
            said = f"a proxy measures forgetting, which {parts.config.replay.strategy} doesn't use: set it to measured"
            raise ConfigError([Problem("replay.strategy", said)])
        traits = traits_of(parts.taught, LearnerTraits)
        if not (traits.trains and traits.saves and traits.log_likelihoods):
            said = (
                f"a proxy is trained and put back, as fine_tune can be; {training.learner} can't: set it to fine_tune"
            )
            raise ConfigError([Problem("training.learner", said)])
        self.strategy, self.learner = strategy, cast(Persistent, parts.taught)

    def plan(self, stream: Stream, stage: int, memory: Memory) -> ReplayPlan:
        """Plan a stage (from 1) by what its task makes the proxy forget; the proxy is left as it was.

        Args:
            stream: What is learned.
            stage: Its number; the proxy has learned all stages before it.
            memory: The tasks before it, with their plans.
        """
        task = stream.tasks[stage - 1]
        said = {"proxy": self.proxy.model, "proxy_rows": self.proxy.rows, "probes": self.proxy.probes}
        budget, rng = self.parts.budget, stage_rng(self.parts.config.seed, stage)
        ahead = self._ahead(memory.tasks, task) if budget.examples(memory, task) else {}
        plan = self.strategy.plan_ahead(memory, task, budget, rng, ahead, said)
        note = f"what is forgotten was measured on {self.proxy.model}, not on the model that will be taught"
        return replace(plan, notes=(note, *plan.notes)) if ahead else plan

    def learn(self, stream: Stream, stage: int, plan: ReplayPlan) -> None:
        """Have the proxy learn its part of a stage, with as large a part of what is replayed of each task."""
        task = stream.tasks[stage - 1]
        part = min(1.0, self.proxy.rows / max(1, len(task.train)))
        rng = np.random.default_rng([self.parts.config.seed, stage, len(plan.picks)])
        picks = []
        for name in dict.fromkeys(pick.task for pick in plan.picks):
            own = [pick for pick in plan.picks if pick.task == name]
            count = int(np.ceil(part * len(own)))
            picks += [own[k] for k in sorted(rng.permutation(len(own))[:count])]
        self.learner.learn(Task(task.name, tuple(self.proxy.taught(task))), replace(plan, picks=tuple(picks)))

    def _ahead(self, earlier: Iterable[Task], task: Task) -> dict[str, tuple[float, int]]:
        """Earlier task -> by how much a part of the new task raises its loss, and of how many rows that is the mean."""
        probes = {one.name: self.proxy.probed(one) for one in earlier}
        before = self._losses(probes)
        with tempfile.TemporaryDirectory(prefix="inscl-") as folder:
            self.learner.save(Path(folder))
            part = Task(task.name, tuple(self.proxy.taught(task)))
            self.learner.learn(part, ReplayPlan.nothing(task.name))
            after = self._losses(probes)
            self.learner.load(Path(folder))
        return {name: (after[name] - before[name], len(rows)) for name, rows in probes.items()}

    def _losses(self, probes: dict[str, list[Example]]) -> dict[str, float]:
        found = {name: checked_losses(self.parts.losses, name, rows) for name, rows in probes.items()}
        return {name: float(losses.mean()) for name, losses in found.items()}


def _order(task: Task) -> list[int]:
    """The train rows of a task in an order that is the same whatever their order in the data."""
    return [int(k) for k in np.argsort(task.train_ids, kind="stable")]
