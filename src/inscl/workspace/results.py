"""What the commands of a workspace give back: plain values, ready for JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from inscl.contract.plan import ReplayPlan

__all__ = [
    "AnswerChange",
    "Difference",
    "Erasure",
    "Estimate",
    "Gate",
    "GateFailure",
    "Learned",
    "Proposal",
    "ProposedTask",
    "Pruned",
    "RolledBack",
    "Standing",
    "Status",
    "TaskChange",
    "TaskStatus",
    "TrainedStage",
]


class _Plain:
    def to_json(self) -> dict[str, Any]:
        """Plain values, keys as the attributes."""
        return asdict(self)  # type: ignore[call-overload, no-any-return]


@dataclass(frozen=True)
class Estimate(_Plain):
    """What a stage will cost; None where nothing was measured yet.

    Attributes:
        tokens: Tokens to train on, all epochs; counted on a sample.
        replay_tokens: The part of them that is replayed.
        asked: Test examples to be answered.
        seconds: Training and evaluation at the speed of the last stages.
        disk: Bytes that the stage and its examples will take.
    """

    tokens: int
    replay_tokens: int
    asked: int
    seconds: float | None = None
    disk: int | None = None


@dataclass(frozen=True)
class ProposedTask:
    """One stage that is about to be learned.

    Attributes:
        name: The task.
        stage: Its number.
        train: Train examples.
        test: Test examples.
        plan: What will be replayed.
        estimate: What it will cost.
    """

    name: str
    stage: int
    train: int
    test: int
    plan: ReplayPlan
    estimate: Estimate

    def to_json(self) -> dict[str, Any]:
        """Plain values; of the plan the allocation and notes, its picks only as a number."""
        plan = {
            "strategy": self.plan.strategy,
            "budget": dict(self.plan.budget),
            "picks": len(self.plan.picks),
            "allocation": self.plan.allocation,
            "notes": list(self.plan.notes),
        }
        shown = {"task": self.name, "stage": self.stage, "train": self.train, "test": self.test}
        return {**shown, "plan": plan, "estimate": self.estimate.to_json()}


@dataclass(frozen=True)
class Proposal:
    """What `learn` is about to do.

    Attributes:
        tasks: The stages to come.
        known: Tasks that were learned already, and so are left out.
        continued: Tasks of which an interrupted command had begun.
        notes: What the user should read: findings in the data, what overlaps.
    """

    tasks: tuple[ProposedTask, ...] = ()
    known: tuple[str, ...] = ()
    continued: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "tasks": [task.to_json() for task in self.tasks],
            "known": list(self.known),
            "continued": list(self.continued),
            "notes": list(self.notes),
        }


@dataclass(frozen=True)
class Standing(_Plain):
    """One task's scores by one metric, percent.

    Attributes:
        first: Right after it was learned.
        best: The best since; never before it was learned.
        best_stage: After which stage that was.
        now: The last one measured.
        now_stage: After which stage that was.
    """

    first: float
    best: float
    best_stage: int
    now: float
    now_stage: int

    @property
    def lost(self) -> float:
        """How far it stands below its best, points."""
        return self.best - self.now


@dataclass(frozen=True)
class TaskStatus(_Plain):
    """One task of a workspace.

    Attributes:
        stage: Which stage learned it.
        name: The task.
        learned: When, UTC.
        train: Train examples as learned.
        test: Test examples as learned.
        scores: Metric -> standing; the leading metric first. Empty where nothing was measured.
        erased: Examples erased since.
    """

    stage: int
    name: str
    learned: str
    train: int
    test: int
    scores: Mapping[str, Standing] = field(default_factory=dict)
    erased: int = 0


@dataclass(frozen=True)
class Status(_Plain):
    """How a workspace stands.

    Attributes:
        path: Its folder.
        model: The model it began with.
        adapter: ``keep``, ``merge``, ``fresh`` or ``none``.
        metrics: Scorers, the leading one first.
        tasks: What was learned, in order.
        examples: Examples in the memory, train and test.
        memory_bytes: What the memory takes on disk.
        stages_bytes: What the stages take; their size when they were recorded.
        discarded_bytes: What was rolled back and not pruned takes.
        unfinished: Tasks of which learning was begun and not finished.
        discarded: Stages that were rolled back and not pruned, as ``"3 routing"``.
        problems: What needs doing, such as an erasure that was interrupted.
    """

    path: str
    model: str
    adapter: str
    metrics: tuple[str, ...]
    tasks: tuple[TaskStatus, ...]
    examples: int
    memory_bytes: int
    stages_bytes: int
    discarded_bytes: int
    unfinished: tuple[str, ...] = ()
    discarded: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


@dataclass(frozen=True)
class Learned(_Plain):
    """What `learn` did.

    Attributes:
        learned: Tasks learned by this call, in order.
        known: Tasks that were learned already.
        notes: What the user should read.
        status: How the workspace stands now.
    """

    learned: tuple[str, ...]
    known: tuple[str, ...]
    notes: tuple[str, ...]
    status: Status


@dataclass(frozen=True)
class TaskChange(_Plain):
    """One task's score after two stages, percent; None where it wasn't measured. Change: points."""

    task: str
    before: float | None
    after: float | None
    change: float | None


@dataclass(frozen=True)
class AnswerChange(_Plain):
    """One answer that differs between two stages; scores in [0, 1] by the leading metric."""

    task: str
    id: str
    instruction: str
    input: str
    references: tuple[str, ...]
    before: str
    after: str
    score_before: float
    score_after: float


@dataclass(frozen=True)
class Difference(_Plain):
    """Two stages compared.

    Attributes:
        first: One stage.
        second: The other.
        metric: Which score.
        tasks: Task by task, in the order learned.
        answers: Answers that differ, those that lost most first.
        compared: How many answers both stages gave.
        notes: Tasks that the stages were not scored on with the same examples.
    """

    first: int
    second: int
    metric: str
    tasks: tuple[TaskChange, ...]
    answers: tuple[AnswerChange, ...]
    compared: int
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class RolledBack(_Plain):
    """What `rollback` did: the stage that counts now, the tasks set aside, and where they stand."""

    stage: int
    discarded: tuple[str, ...]
    folder: str | None


@dataclass(frozen=True)
class Pruned(_Plain):
    """What `prune` deleted: tasks of discarded stages, and bytes."""

    tasks: tuple[str, ...]
    bytes: int


@dataclass(frozen=True)
class GateFailure(_Plain):
    """One condition that isn't met.

    Attributes:
        task: Which task.
        condition: ``max-forgetting`` or ``min-score``.
        value: What was found, in points or percent; None where it was not measured.
        limit: What was asked for.
        message: The same in words.
    """

    task: str
    condition: str
    value: float | None
    limit: float
    message: str


@dataclass(frozen=True)
class Gate(_Plain):
    """Whether a workspace may be deployed.

    Attributes:
        passed: Whether every condition is met.
        stage: The stage that was looked at.
        metric: Which score.
        checked: How many conditions there were.
        failures: Those that aren't met.
        notes: Tasks whose best score was measured on more or fewer examples than the last one.
    """

    passed: bool
    stage: int
    metric: str
    checked: int
    failures: tuple[GateFailure, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class TrainedStage(_Plain):
    """A stage whose model has seen what was erased.

    Attributes:
        stage: Its number.
        task: What it learned.
        discarded: The folder of discarded stages it stands in; None for one that counts.
        how: ``learned``, ``replayed``, or ``built on`` a stage that did either.
        examples: How many of the erased examples it was trained on itself.
    """

    stage: int
    task: str
    discarded: int | None
    how: str
    examples: int


@dataclass(frozen=True)
class Erasure(_Plain):
    """What `erase` took away, or would.

    Attributes:
        dry_run: Whether nothing was changed.
        examples: Task -> examples that went.
        files: Files of the workspace that were rewritten or deleted.
        cached: Entries that went from the user's caches of embeddings and tags.
        trained: Stages whose model was trained on what was erased; their weights stay.
        notes: What the user should read.
    """

    dry_run: bool
    examples: Mapping[str, int]
    files: int
    cached: int
    trained: tuple[TrainedStage, ...]
    notes: tuple[str, ...] = ()
