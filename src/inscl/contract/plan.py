"""A replay plan: what is rehearsed at a stage, and why each example was picked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from inscl.contract.example import Example

__all__ = ["InstructionShare", "Pick", "ReplayPlan", "TaskShare"]


@dataclass(frozen=True)
class Pick:
    """One replayed example with the reason it was taken.

    Attributes:
        example: What is replayed.
        task: The earlier task it comes from.
        distance: Transport distance of that task to the new one; None where the strategy measures none.
        allocation: How many examples that task was given.
        insinfo: InsInfo of its instruction; None where the strategy measures none.
        rank: 1-based rank of its instruction within the task, most informative first; None where there is no ranking.
    """

    example: Example
    task: str
    allocation: int
    distance: float | None = None
    insinfo: float | None = None
    rank: int | None = None

    def to_json(self) -> dict[str, Any]:
        """The example's fields, then ``id`` and ``reason``: one row of ``replay.jsonl``."""
        reason = {
            "task": self.task,
            "instruction": self.example.instruction,
            "distance": self.distance,
            "allocation": self.allocation,
            "insinfo": self.insinfo,
            "rank": self.rank,
        }
        return {**self.example.to_json(), "id": self.example.id, "reason": reason}


@dataclass(frozen=True)
class InstructionShare:
    """One instruction of an earlier task: what it was worth, and how many examples of it were taken.

    Attributes:
        instruction: The text.
        frequency: Train examples of the task that carry it.
        insinfo: Its InsInfo, nats; None where the strategy measures none.
        rank: 1-based rank within the task, most informative first; None where there is no ranking.
        tags: Its merged intention tags.
        picked: Examples of it in this plan.
    """

    instruction: str
    frequency: int
    picked: int
    insinfo: float | None = None
    rank: int | None = None
    tags: tuple[str, ...] = ()


@dataclass(frozen=True)
class TaskShare:
    """One earlier task's part of a plan.

    Attributes:
        task: Its name.
        available: Train examples it has.
        allocation: Examples it was given.
        weight: What the allocation was proportional to.
        distance: Transport distance to the new task; None where the strategy measures none.
        instructions: Its instructions, picked or not.
    """

    task: str
    available: int
    allocation: int
    weight: float
    distance: float | None = None
    instructions: tuple[InstructionShare, ...] = ()


@dataclass(frozen=True)
class ReplayPlan:
    """What to rehearse while a new task is learned; made and written down before any training.

    Attributes:
        new_task: Name of the task to be learned.
        strategy: Registered name of the strategy.
        picks: The examples with their reasons, grouped by task in the order of the memory.
        shares: One entry an earlier task, in the order of the memory.
        parameters: The strategy's settings.
        budget: The budget as configured, as in ``{"per_task": 200}``.
        notes: What the reader of a plan should know: guards that took effect, budgets that could not be filled.
    """

    new_task: str
    strategy: str
    picks: tuple[Pick, ...] = ()
    shares: tuple[TaskShare, ...] = ()
    parameters: Mapping[str, Any] = field(default_factory=dict)
    budget: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def examples(self) -> Sequence[Example]:
        """The examples to replay, in plan order."""
        return [pick.example for pick in self.picks]

    @property
    def allocation(self) -> dict[str, int]:
        """Examples taken from each earlier task."""
        return {share.task: share.allocation for share in self.shares}

    def to_json(self) -> dict[str, Any]:
        """The content of ``plan.json``; the picks themselves stand in ``replay.jsonl``."""
        return {
            "schema": 1,
            "new_task": self.new_task,
            "strategy": self.strategy,
            "parameters": dict(self.parameters),
            "budget": dict(self.budget),
            "picks": len(self.picks),
            "tasks": [asdict(share) for share in self.shares],
            "notes": list(self.notes),
        }
