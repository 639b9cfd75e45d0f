"""Lost answers as the page shows them: one, those of a task, those of a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from inscl.contract.example import Image
from inscl.forgetting.case import ForgottenCase
from inscl.storage.run.finished_run import Run
from inscl.storage.run.formats import Prediction

__all__ = ["Lost", "LostOfRun", "LostOfTask"]


@dataclass(frozen=True)
class Lost:
    """One example that was right and became wrong.

    Attributes:
        case: The example, both answers, and how the one at the end is wrong.
        images: The pictures that it asks about, by name and digest.
        others: Label and answer of the other runs after their last stage.
    """

    case: ForgottenCase
    images: Sequence[Image] = ()
    others: Sequence[tuple[str, Prediction]] = ()

    @property
    def drop(self) -> float:
        """How far the score fell, in (0, 1]."""
        return self.case.score_before - self.case.score_end

    @property
    def kind(self) -> str:
        """How the answer at the end is wrong, in words; empty where nothing can be said of it."""
        if self.case.reason == "unknown":
            return ""
        if self.case.related:
            return "instruction-related"
        if self.case.looks_like is None:
            return "instruction-unrelated"
        same = self.case.looks_like == self.case.task
        return f"instruction-unrelated, looks like {'another instruction' if same else self.case.looks_like}"


@dataclass
class LostOfTask:
    """One task's lost answers: those to show, the largest drop first, and the counts over all.

    Attributes:
        task: Its name.
        stage: Where it was learned.
        shown: The lost answers to show.
        total: All that are lost.
        related: Those of them that still attempt what was asked (*instruction-related*).
        looks_like: Task -> how many unrelated ones look like its answers, most first.
        compared: Answers that have both scores.
        gained: Answers that were wrong right after learning and are right at the end.
    """

    task: str
    stage: int
    shown: list[Lost] = field(default_factory=list)
    total: int = 0
    related: int = 0
    looks_like: dict[str, int] = field(default_factory=dict)
    compared: int = 0
    gained: int = 0

    @property
    def unrelated(self) -> int:
        """Lost answers that do something else than what was asked (*instruction-unrelated*)."""
        return self.total - self.related

    @property
    def resemblance(self) -> str:
        """What the unrelated ones look like, in words."""
        named = [
            f"{'another instruction' if task == self.task else task} {count}" for task, count in self.looks_like.items()
        ]
        rest = self.unrelated - sum(self.looks_like.values())
        return ", ".join(named + ([f"no task {rest}"] if rest else []))


@dataclass
class LostOfRun:
    """A run's lost answers by task.

    Attributes:
        run: The run.
        last: The stage whose answers count as the end; None where there is none.
        tasks: By task, in the order learned.
        unknown: Why nobody can say how the answers are wrong; None where that could be said.
        references: Examples that what right answers look like was learned from; 0 if it wasn't asked for.
    """

    run: Run
    last: int | None
    tasks: list[LostOfTask] = field(default_factory=list)
    unknown: str | None = None
    references: int = 0

    @property
    def total(self) -> int:
        """Lost answers over all tasks, shown or not."""
        return sum(task.total for task in self.tasks)

    @property
    def related(self) -> int:
        """Lost answers over all tasks that still attempt what was asked."""
        return sum(task.related for task in self.tasks)

    @property
    def unrelated(self) -> int:
        """Lost answers over all tasks that do something else."""
        return self.total - self.related

    @property
    def compared(self) -> int:
        """Answers that have both scores."""
        return sum(task.compared for task in self.tasks)

    @property
    def gained(self) -> int:
        """Answers that were wrong right after learning and are right at the end."""
        return sum(task.gained for task in self.tasks)

    @property
    def shown(self) -> int:
        """Lost answers that are shown."""
        return sum(len(task.shown) for task in self.tasks)
