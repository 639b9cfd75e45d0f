"""Measured forgetting: replay more of the tasks whose loss has risen, and unseen examples first."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inscl.contract import Example, Memory, Task
from inscl.contract.budget import Budget
from inscl.contract.plan import ReplayPlan
from inscl.contract.seams import Embedder, Tagger
from inscl.contract.task_summary import TaskSummary
from inscl.contract.task_tags import TagNeighbours, TaskTags
from inscl.contract.traits import StrategyTraits
from inscl.errors import ConfigError, Problem, nearest
from inscl.replay.inscl import InsCL
from inscl.replay.shares.forgetting import (
    MODELS,
    Rises,
    limited,
    rises_ahead,
    rises_of_probes,
    rises_of_visits,
    steadied,
)
from inscl.replay.shares.losses import checked_losses

__all__ = ["SIGNALS", "MeasuredForgetting"]

SIGNALS = ("visits", "probes")


class MeasuredForgetting:
    r"""Shares by how much the loss of each task has risen since it was trained on; within tasks, InsCL with coverage.

    At stage i, task j of the i - 1 earlier ones has the share

    .. math:: p_j = (1 - e) \frac{\max(\Delta L_j, 0)^\tau W_{ji}^b}{\sum_k \max(\Delta L_k, 0)^\tau W_{ki}^b}
        + \frac{e}{i - 1}

    of the budget, and at most `cap` times the equal share. :math:`\Delta L_j` is the rise of the loss, steadied by a
    model of all rises measured so far (`inscl.replay.shares.forgetting`), and :math:`W_{ji}` InsCL's distance of the
    tasks' instructions. Where no loss has risen, or nothing was measured yet, :math:`W_{ji}^b` alone decides. It is the
    rise that counts and never the level: a task that is hard to learn isn't one that is forgotten.

    This is no method of the InsCL paper. Allocation by the rise of a loss on probes is near to what RGD-R does by
    perplexity (arXiv 2411.11932); the rule, its combination with distances and all default values are designed here.

    Args:
        losses: n examples to n losses under the current model, nats per answer token; for probes.
        embedder: As for `InsCL`; needed unless `distance` is 0.
        tagger: As for `InsCL`.
        tag_embedder: As for `InsCL`.
        signal: ``visits`` takes the losses that replayed examples have in training, which cost nothing; ``probes`` asks
            for the loss of a fixed sample of each earlier task before each stage, which costs forward passes.
        probes: Size of that sample, at most what a task has.
        explore: e, the part of the budget that is shared equally, from 0 to 1.
        tau: :math:`\tau`, above 0.
        distance: b, 0 or more; 0 leaves distances out.
        cap: Most that a task is given, in equal shares; at least 1.
        fit: ``additive`` or ``rank_one``: what predicts the rise of a task from other tasks and stages.
        shrink: How many rows the prediction weighs as much as; above 0.

    Raises:
        ConfigError: A value can't be.
    """

    traits = StrategyTraits(remembers=True, summarises=True)

    def __init__(
        self,
        losses: Callable[[Sequence[Example]], NDArray[Any]] | None = None,
        embedder: Embedder | None = None,
        tagger: Tagger | None = None,
        tag_embedder: Embedder | None = None,
        signal: str = "visits",
        probes: int = 8,
        explore: float = 0.3,
        tau: float = 1.0,
        distance: float = 1.0,
        cap: float = 3.0,
        fit: str = "additive",
        shrink: float = 4.0,
    ) -> None:
        ranges = (
            ("probes", probes >= 1, f"must be at least 1, got {probes!r}"),
            ("explore", 0 <= explore <= 1, f"must be from 0 to 1, got {explore!r}"),
            ("tau", 0 < tau < float("inf"), f"must be above 0, got {tau!r}"),
            ("distance", 0 <= distance < float("inf"), f"must be 0 or more, got {distance!r}"),
            ("cap", cap >= 1, f"must be at least 1, got {cap!r}"),
            ("shrink", 0 < shrink < float("inf"), f"must be above 0, got {shrink!r}"),
            ("signal", signal in SIGNALS, f"no signal {signal!r}{nearest(str(signal), SIGNALS)}"),
            ("fit", fit in MODELS, f"no fit {fit!r}{nearest(str(fit), tuple(MODELS))}"),
        )
        problems = [Problem(key, message) for key, good, message in ranges if not good]
        if problems:
            raise ConfigError(problems, "strategy measured")
        self.losses, self.signal, self.probes, self.explore, self.tau = losses, signal, probes, explore, tau
        self.distance, self.cap, self.fit, self.shrink = distance, cap, fit, shrink
        self.within = InsCL(embedder, tagger, tag_embedder, coverage=True, name="measured")
        self.traits = replace(self.traits, uses_visits=signal == "visits")

    def plan(self, memory: Memory, new_task: Task, budget: Budget, rng: np.random.Generator) -> ReplayPlan:
        """Shares by measured forgetting; every share says its rise, the rows behind it, and what was made of both.

        Raises:
            ConfigError: `losses` returned another number of values than examples.
            ModelError: A loss is not a finite number.
        """
        parameters: dict[str, Any] = {"signal": self.signal}
        if self.signal == "probes":
            parameters["probes"] = self.probes
        wanted = len(memory) and budget.examples(memory, new_task)
        probed = self._probe(memory) if self.signal == "probes" and wanted else {}
        rises = rises_of_probes(memory, probed) if self.signal == "probes" else rises_of_visits(memory)
        return self._plan_by(rises, probed, memory, new_task, budget, rng, parameters)

    def plan_ahead(
        self,
        memory: Memory,
        new_task: Task,
        budget: Budget,
        rng: np.random.Generator,
        ahead: Mapping[str, tuple[float, int]],
        said: Mapping[str, Any],
    ) -> ReplayPlan:
        """The same by rises that somebody measured ahead: what learning the new task would do to each earlier one.

        Args:
            memory: Its past plans hold what was measured ahead of them.
            new_task: The task to learn.
            budget: How much may be replayed.
            rng: The only source of chance.
            ahead: Earlier task -> the rise of its loss, nats an answer token, and how many rows it is the mean of.
            said: What the plan says of how that was measured, beside ``"signal": "proxy"``.
        """
        rises = rises_ahead(memory, ahead)
        return self._plan_by(rises, {}, memory, new_task, budget, rng, {"signal": "proxy", **said})

    def _plan_by(
        self,
        rises: Rises,
        probed: Mapping[str, tuple[float, int]],
        memory: Memory,
        new_task: Task,
        budget: Budget,
        rng: np.random.Generator,
        parameters: dict[str, Any],
    ) -> ReplayPlan:
        names = ("explore", "tau", "distance", "cap", "fit", "shrink")
        parameters = {**parameters, **{name: getattr(self, name) for name in names}}
        if not len(memory) or not budget.examples(memory, new_task):
            nothing: list[dict[str, Any]] = [{} for _ in memory.tasks]
            return self.within.plan_shares(memory, new_task, budget, rng, np.ones(len(memory)), nothing, parameters)
        found = self.within.between.measure(memory, new_task) if self.distance else None
        distances = np.ones(len(memory)) if found is None else found.values
        rise = steadied(rises, self.fit, self.shrink)
        shares = self._shares(rise, distances)
        parameters |= found.parameters if found else {}
        reasons: list[dict[str, Any]] = []
        for j, task in enumerate(memory.tasks):
            measured = None if np.isnan(rises.mean[-1, j]) else round(float(rises.mean[-1, j]), 6)
            reason = {"rise": measured, "rows": int(rises.rows[-1, j]), "forgetting": round(float(rise[j]), 6)}
            asked = probed.get(task.name)
            own = {"probe_loss": asked[0], "probes": asked[1]} if asked else {}
            reasons.append({**(found.reasons[j] if found else {}), **reason, **own})
        notes = [*(found.notes if found else ()), *self._notes(rises, rise, probed)]
        return self.within.plan_shares(memory, new_task, budget, rng, shares, reasons, parameters, notes)

    @property
    def summaries(self) -> Mapping[str, TaskSummary]:
        """What measuring distances made of the tasks (`InsCL.summaries`)."""
        return self.within.summaries

    @property
    def tagged(self) -> Mapping[str, TaskTags]:
        """What counting tags made of them (`InsCL.tagged`)."""
        return self.within.tagged

    @property
    def neighbours(self) -> TagNeighbours | None:
        """Which of the tags are near which (`InsCL.neighbours`)."""
        return self.within.neighbours

    def _shares(self, rise: NDArray[np.float64], distances: NDArray[np.float64]) -> NDArray[np.float64]:
        by_distance = distances**self.distance
        wanted = np.maximum(rise, 0.0) ** self.tau * by_distance
        if not wanted.any():
            wanted = by_distance if by_distance.any() else np.ones(len(rise))
        return limited((1 - self.explore) * wanted / wanted.sum() + self.explore / len(rise), self.cap)

    def _probe(self, memory: Memory) -> dict[str, tuple[float, int]]:
        """Task -> mean loss of its probes, and their number; the same examples at each stage."""
        if self.losses is None:
            raise ConfigError(
                [Problem("signal", "probes need losses: use a learner that tells how likely answers are")]
            )
        found = {}
        for task in memory.tasks:
            rows = task.examples_at(int(k) for k in np.argsort(task.train_ids, kind="stable")[: self.probes])
            losses = checked_losses(self.losses, task.name, rows)
            found[task.name] = (round(float(losses.mean()), 6), len(rows))
        return found

    def _notes(self, rises: Rises, rise: NDArray[np.float64], probed: Mapping[str, tuple[float, int]]) -> list[str]:
        notes = []
        if probed:
            notes.append(f"{sum(count for _, count in probed.values())} probes were read for this plan")
        if not rises.rows.any():
            notes.append("no rise of a loss has been measured yet: distances alone decide the shares")
        elif not (rise > 0).any():
            notes.append("no loss has risen: distances alone decide the shares")
        return notes
