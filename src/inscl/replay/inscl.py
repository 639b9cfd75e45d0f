"""InsCL: replay more of the tasks that lie far from the new one, and their most informative instructions first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from inscl.contract import Memory, Task
from inscl.contract.budget import Budget
from inscl.contract.plan import InstructionShare, Pick, ReplayPlan, TaskShare
from inscl.contract.seams import Embedder, Tagger
from inscl.contract.task_summary import TaskSummary
from inscl.contract.task_tags import TagNeighbours, TaskTags
from inscl.contract.traits import StrategyTraits
from inscl.errors import ConfigError, Problem
from inscl.replay.shares.allocation import allocate
from inscl.replay.shares.coverage import select_unseen, times_replayed
from inscl.replay.shares.distances import TaskDistances
from inscl.replay.shares.information import Information, InformationCounts
from inscl.replay.shares.selection import rank_instructions, select_by_information, select_uniformly
from inscl.replay.shares.tagged import TaggedTasks
from inscl.replay.shares.tokens import select_within_tokens

__all__ = ["KEPT", "LISTED", "InsCL"]

KEPT = 50_000
"""Distinct instructions up to which each process counts tags from the raw ones; of more, the memory keeps tables."""
LISTED = 100_000
"""Instructions of earlier tasks up to which a plan lists all with what they are worth; of more, those that it picks."""


class InsCL:
    r"""Instruction-based continual learning (Wang et al., NAACL 2024 long 37, sections 3.2 and 3.3, Algorithm 1).

    At stage i, with instructions of task j distributed as :math:`\mu_j`:

    - *dynamic replay*: :math:`W_{ji} = \mathrm{Wasserstein}(\mu_j, \mu_i)` with cosine cost, and task j is given
      :math:`\alpha^*_j = \alpha \cdot W_{ji} / \sum_{k<i} W_{ki}` of the budget :math:`\alpha`;
    - *InsInfo-guided sampling*: within a task, instructions share :math:`\alpha^*_j` in proportion to
      :math:`\sum_{t} \log(N / f_t)` over their merged intention tags, N and f counted over tasks 1..i.

    Switching parts off gives the paper's ablations: ``dynamic=False, insinfo=False`` is Random Replay.

    Args:
        embedder: Instructions to vectors; asked only for what the memory doesn't hold. Needed when `dynamic` is on.
        tagger: Instructions to tags, likewise. Needed when `insinfo` is on.
        tag_embedder: Tags to vectors, for merging synonyms; None merges equal spellings only.
        dynamic: Split the budget by distance; off, evenly.
        weights: ``"real"`` weights each instruction by its frequency in its task, ``"uniform"`` all alike.
        insinfo: Choose within a task by InsInfo; off, uniformly at random.
        cost: ``"cosine"`` or ``"euclidean"``.
        p: Order of the distance, at least 1.
        transport: ``"exact"`` or ``"entropic"``.
        merge_eps: DBSCAN's radius in cosine distance for tags that mean the same.
        merge_min_samples: DBSCAN's least number of tags in a cluster.
        coverage: Within a task, let every instruction and every example have its turn before one comes again, over all
            stages (`inscl.replay.shares.coverage`). Not in the paper, which draws anew at each stage. What is left of a
            budget in tokens goes to whatever fits, the examples first that were replayed least often.
        summarise: Whether distances are measured from a summary of each task (`inscl.transport.coreset`), which the
            memory keeps; the plan then says within which bounds the exact distances lie. ``"large"`` does so beyond 50
            million pairs of an earlier task's instruction and one of the new task, ``"never"`` and ``"always"`` as they
            say.
        summary_size: Points of a summary; a task with no more distinct instructions is kept as it is. The new task has
            twice as many.
        name: What the plan calls the strategy.

    Raises:
        ConfigError: A value is out of range, or a switch is on without the component it needs.
    """

    traits = StrategyTraits(summarises=True, added=("coverage", "summarise", "summary_size"))

    def __init__(
        self,
        embedder: Embedder | None = None,
        tagger: Tagger | None = None,
        tag_embedder: Embedder | None = None,
        *,
        dynamic: bool = True,
        weights: Literal["real", "uniform"] = "real",
        insinfo: bool = True,
        cost: Literal["cosine", "euclidean"] = "cosine",
        p: float = 1,
        transport: Literal["exact", "entropic"] = "exact",
        merge_eps: float = 0.1,
        merge_min_samples: int = 5,
        coverage: bool = False,
        summarise: Literal["large", "never", "always"] = "large",
        summary_size: int = 96,
        name: str = "inscl",
    ) -> None:
        problems = [
            Problem(key, f"must be one of {', '.join(allowed)}, got {value!r}")
            for key, value, allowed in (
                ("weights", weights, ("real", "uniform")),
                ("cost", cost, ("cosine", "euclidean")),
                ("transport", transport, ("exact", "entropic")),
                ("summarise", summarise, ("large", "never", "always")),
            )
            if value not in allowed
        ]
        problems += [Problem("p", f"must be at least 1, got {p}")] if not p >= 1 else []
        problems += [Problem("merge_eps", f"must be above 0, got {merge_eps}")] if not merge_eps > 0 else []
        problems += (
            [Problem("merge_min_samples", f"must be at least 1, got {merge_min_samples}")]
            if merge_min_samples < 1
            else []
        )
        if summary_size < 1:
            problems.append(Problem("summary_size", f"must be at least 1, got {summary_size}"))
        if (summarise, transport) == ("always", "entropic"):
            problems.append(Problem("summarise", "summaries have exact distances: transport must be exact"))
        if problems:
            raise ConfigError(problems, "strategy inscl")
        self.worth = InformationCounts(tag_embedder, merge_eps, merge_min_samples)
        self.tagged_tasks = TaggedTasks(tagger)
        self.between = TaskDistances(embedder, weights, cost, p, transport, summarise, summary_size)
        self.embedder, self.tagger, self.tag_embedder = embedder, tagger, tag_embedder
        self.dynamic, self.weights, self.insinfo = dynamic, weights, insinfo
        self.cost, self.p, self.transport = cost, p, transport
        self.merge_eps, self.merge_min_samples = merge_eps, merge_min_samples
        self.coverage, self.name = coverage, name
        if coverage:
            self.traits = replace(self.traits, remembers=True)

    def plan(self, memory: Memory, new_task: Task, budget: Budget, rng: np.random.Generator) -> ReplayPlan:
        """How much of each task, then which of its examples; see the class for both rules."""
        if not self.dynamic or not budget.examples(memory, new_task):
            nothing: list[dict[str, Any]] = [{} for _ in memory.tasks]
            return self.plan_shares(memory, new_task, budget, rng, np.ones(len(memory)), nothing, self._parameters())
        found = self.between.measure(memory, new_task)
        notes = list(found.notes)
        if not found.values.any():
            notes.append("every earlier task is at distance 0 from the new one: the budget is split evenly")
        parameters = {**self._parameters(), **found.parameters}
        return self.plan_shares(memory, new_task, budget, rng, found.values, found.reasons, parameters, notes)

    def plan_shares(
        self,
        memory: Memory,
        new_task: Task,
        budget: Budget,
        rng: np.random.Generator,
        weights: NDArray[np.float64],
        reasons: Sequence[Mapping[str, Any]],
        parameters: Mapping[str, Any],
        notes: Sequence[str] = (),
    ) -> ReplayPlan:
        """A plan whose tasks have given shares; which of their examples, this strategy chooses.

        Args:
            memory: Tasks 1..i-1.
            new_task: Task i.
            budget: Any kind of budget.
            rng: The only source of chance.
            weights: What the tasks' shares are proportional to, shape (len(memory),).
            reasons: What is known of each task, which its share and every pick of it say.
            parameters: What the plan says of the settings.
            notes: What it says besides.
        """
        count = budget.examples(memory, new_task)
        information = self._information(memory, new_task) if self.insinfo and count else None
        times = times_replayed(memory) if self.coverage else {}
        positions = self._positions(memory, weights, budget, count, information, times, rng)
        instructions = sum(task.distinct for task in memory.tasks)
        shares, picks = [], []
        for j, (task, taken) in enumerate(zip(memory.tasks, positions, strict=True)):
            chosen, why = task.examples_at(taken), dict(reasons[j])
            worth = _Worth(information, j) if information else None
            before: Mapping[str, int] = times.get(task.name, {})
            index = task.instruction_index[list(taken)].tolist() if taken else []
            # Examples of one instruction have one reason.
            told = {k: {**why, **worth.of(k)} if worth else why for k in set(index)}
            for example, k in zip(chosen, index, strict=True):
                turn = {**told[k], "replayed_before": before.get(example.id, 0)} if self.coverage else told[k]
                picks.append(Pick(example, task.name, len(chosen), reason=turn))
            table = _instruction_table(task, Counter(index), worth, instructions <= LISTED)
            shares.append(TaskShare(task.name, len(task.train), len(chosen), float(weights[j]), table, why))
        return ReplayPlan(
            new_task.name,
            self.name,
            tuple(picks),
            tuple(shares),
            dict(parameters),
            budget.to_json(),
            (*notes, *_notes(memory, budget, count, information, instructions)),
        )

    def _positions(
        self,
        memory: Memory,
        weights: NDArray[np.float64],
        budget: Budget,
        count: int,
        information: Information | None,
        times: Mapping[str, Mapping[str, int]],
        rng: np.random.Generator,
    ) -> list[list[int]]:
        """Of each task the train examples that are replayed; `count` in all, but under a budget in tokens."""
        values = {} if information is None else {t.name: information.values[j] for j, t in enumerate(memory.tasks)}

        def select(task: Task, n: int) -> list[int]:
            own = values.get(task.name)
            if self.coverage:
                worth = {} if own is None else dict(zip(task.instructions, own.tolist(), strict=True))
                return select_unseen(task, worth, n, times.get(task.name, {}), rng)
            return select_uniformly(task, n, rng) if own is None else select_by_information(task, own, n, rng)

        def before(task: Task) -> NDArray[np.int64]:
            own = times.get(task.name, {})
            return np.array([own.get(one, 0) for one in task.train_ids], dtype=np.int64)

        if budget.tokens is not None:
            waiting = before if self.coverage else None
            return select_within_tokens(memory.tasks, weights, budget, select, rng, waiting)
        allocation = allocate(weights, count, [len(task.train) for task in memory.tasks])
        return [select(task, int(n)) for task, n in zip(memory.tasks, allocation, strict=True)]

    def _information(self, memory: Memory, new_task: Task) -> Information:
        """InsInfo and merged tags of every distinct instruction of tasks 1..i, the new one included."""
        if self.worth.clusters:
            self.worth.clusters.know(memory.neighbours)
        return self.worth.count(self.tagged_tasks(memory, new_task))

    def distances(self, memory: Memory, new_task: Task) -> NDArray[np.float64]:
        """Transport distance of every task in memory to `new_task`; shape (len(memory),), in units of the cost."""
        return self.between.measure(memory, new_task).values

    @property
    def summaries(self) -> Mapping[str, TaskSummary]:
        """Task name -> its summary, of the last plan that took any; for the memory to keep."""
        return self.between.made

    @property
    def tagged(self) -> Mapping[str, TaskTags]:
        """Task name -> the tags of its instructions, of the last plan, beyond `KEPT`; for the memory to keep."""
        return self.tagged_tasks.made if self._keeps_tags else {}

    @property
    def neighbours(self) -> TagNeighbours | None:
        """Which of their tags were found near which, beyond `KEPT`; for the memory to keep."""
        return self.worth.neighbours if self._keeps_tags else None

    @property
    def _keeps_tags(self) -> bool:
        return sum(map(len, self.tagged_tasks.made.values())) > KEPT

    def _parameters(self) -> dict[str, Any]:
        switches: dict[str, Any] = {"dynamic": self.dynamic, "insinfo": self.insinfo}
        if self.dynamic:
            switches |= {"weights": self.weights, "cost": self.cost, "p": self.p, "transport": self.transport}
        if self.insinfo:
            switches |= {"merge_eps": self.merge_eps, "merge_min_samples": self.merge_min_samples}
        return {**switches, "coverage": True} if self.coverage else switches


def _notes(memory: Memory, budget: Budget, count: int, information: Information | None, instructions: int) -> list[str]:
    notes = []
    if instructions > LISTED:
        notes.append(f"of {instructions:,} instructions, those are listed of which an example is replayed")
    if information and not any(values.any() for values in information.values):
        notes.append("no instruction carries information (every tag is on all of them): they count alike")
    wanted = budget.per_task * len(memory) if budget.per_task is not None else budget.total
    if wanted is not None and wanted > count:
        notes.append(f"the budget asks for {wanted} examples and the memory holds {count}: all of them are replayed")
    return notes


class _Worth:
    """What the instructions of one task are worth."""

    def __init__(self, information: Information, task: int) -> None:
        self.information, self.task = information, task

    @cached_property
    def ranks(self) -> list[int]:
        ranks: list[int] = rank_instructions(self.information.values[self.task]).tolist()
        return ranks

    @cached_property
    def values(self) -> list[float]:
        values: list[float] = self.information.values[self.task].tolist()
        return values

    def of(self, instruction: int) -> dict[str, Any]:
        return {"insinfo": self.values[instruction], "rank": self.ranks[instruction]}

    def told(self, instructions: Sequence[int]) -> list[dict[str, Any]]:
        tags = self.information.tags(self.task, instructions)
        return [{**self.of(k), "tags": list(own)} for k, own in zip(instructions, tags, strict=True)]


def _instruction_table(
    task: Task, picked: Mapping[int, int], worth: _Worth | None, all_listed: bool
) -> tuple[InstructionShare, ...]:
    listed: Sequence[int] = range(task.distinct)
    if not all_listed:
        listed = sorted(picked, key=worth.ranks.__getitem__) if worth else list(picked)
    counts = list(task.instruction_counts.items()) if all_listed or picked else []
    told: Iterable[Mapping[str, Any]] = worth.told(listed) if worth else ({} for _ in listed)
    return tuple(InstructionShare(*counts[k], picked.get(k, 0), why) for k, why in zip(listed, told, strict=True))
