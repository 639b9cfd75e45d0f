"""A replay plan: which examples are replayed at a stage, and why each was picked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from inscl.contract.example import Example

__all__ = ["InstructionShare", "PastStage", "Pick", "ReplayPlan", "TaskShare"]


@dataclass(frozen=True)
class Pick:
    """One replayed example with the reason it was taken.

    Attributes:
        example: What is replayed.
        task: The earlier task it comes from.
        allocation: How many examples that task was given.
        weight: What its loss counts in training, beside 1 for an example of the new task.
        reason: Why it was taken, in the strategy's own words; plain JSON values, as ``{"distance": 0.2, "rank": 1}``.
    """

    example: Example
    task: str
    allocation: int
    weight: float = 1.0
    reason: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The example's fields, then ``id``, ``weight`` and ``reason``: one row of ``replay.jsonl``."""
        why = {"task": self.task, "instruction": self.example.instruction, "allocation": self.allocation}
        return {
            **self.example.to_json(),
            "id": self.example.id,
            "weight": self.weight,
            "reason": {**why, **self.reason},
        }

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> Pick:
        """The inverse of `to_json`."""
        reason = dict(row["reason"])
        task, allocation = reason.pop("task"), reason.pop("allocation")
        reason.pop("instruction", None)
        return cls(Example.from_json(row), task, allocation, float(row.get("weight", 1.0)), reason)


@dataclass(frozen=True)
class InstructionShare:
    """One instruction of an earlier task: its score, and how many of its examples were picked.

    Attributes:
        instruction: The text.
        frequency: Train examples of the task that carry it.
        picked: Examples of it in this plan.
        reason: What the strategy knows of it; plain JSON values. Reports show ``insinfo`` (nats), ``rank`` (1-based,
            most informative first) and ``tags``.
    """

    instruction: str
    frequency: int
    picked: int
    reason: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class TaskShare:
    """One earlier task's part of a plan.

    Attributes:
        task: Its name.
        available: Train examples it has.
        allocation: Examples it was given.
        weight: What the allocation was proportional to.
        instructions: Its instructions, picked or not. A plan that lists those alone that are picked says so in a note.
        reason: What the strategy knows of it; plain JSON values. Reports show ``distance``.
    """

    task: str
    available: int
    allocation: int
    weight: float
    instructions: tuple[InstructionShare, ...] = ()
    reason: Mapping[str, Any] = field(default_factory=dict)


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

    @classmethod
    def nothing(cls, new_task: str, strategy: str = "none") -> ReplayPlan:
        """A plan that replays nothing."""
        return cls(new_task, strategy)

    @classmethod
    def from_json(cls, content: Mapping[str, Any], rows: Iterable[Mapping[str, Any]]) -> ReplayPlan:
        """The plan that was written.

        Args:
            content: Of ``plan.json``.
            rows: Of ``replay.jsonl``.
        """
        return cls(
            content["new_task"],
            content["strategy"],
            tuple(Pick.from_json(row) for row in rows),
            tuple(
                TaskShare(**{**share, "instructions": tuple(InstructionShare(**one) for one in share["instructions"])})
                for share in content["tasks"]
            ),
            content["parameters"],
            content["budget"],
            tuple(content["notes"]),
        )

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


@dataclass(frozen=True)
class PastStage:
    """What a later stage may know of how an earlier one was taught.

    Attributes:
        plan: What was replayed, and why.
        losses: Id of an example that the stage trained on -> its loss at its first and at its last visit, each before
            the step that trained on it; nats per answer token. Empty where the learner measured none.
    """

    plan: ReplayPlan
    losses: Mapping[str, tuple[float, float]] = field(default_factory=dict)
