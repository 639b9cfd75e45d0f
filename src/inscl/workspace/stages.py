"""What a workspace has to learn: waiting tasks, and damaged stages that are repeated."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from inscl.config import kinds
from inscl.config.metrics import scales_of
from inscl.config.settings import RunConfig
from inscl.contract import Memory, Stream, Task
from inscl.contract.traits import StrategyTraits, traits_of
from inscl.engine.open_run import OpenWorkspace
from inscl.engine.parts import Parts
from inscl.engine.plan import with_past
from inscl.engine.resume import load_stage
from inscl.engine.stage import Planned, Stage
from inscl.storage.files.disk import disk_of
from inscl.storage.files.event_log import note
from inscl.storage.files.provenance import now
from inscl.storage.memory.store import MemoryStore
from inscl.storage.objects.places import publish
from inscl.storage.run.ledger import Cost, Event, LearnedTask
from inscl.storage.run.stage_record import Record
from inscl.workspace.keeping import let_go
from inscl.workspace.score_history import read_histories, write_histories

__all__ = ["DamagedStages", "WaitingStages", "capped", "replayable", "uses_losses"]


class _WorkspaceStages:
    """Stages of a workspace for `inscl.pipeline.learn_stages`.

    Args:
        opened: The workspace, held for writing.
    """

    def __init__(self, opened: OpenWorkspace) -> None:
        self.opened = opened
        self._learned = opened.stream

    def remember(self, stage: Stage) -> None:
        """Keep vectors and tags of the new instructions, and the history of each task's scores."""
        self.opened.memory.learn_facts(*stage.parts.known((stage.task,)))
        if made := stage.made:
            ledger = self.opened.ledger
            self.opened.memory.keep_made(made, {one.name: one.key for one in (*ledger.tasks, *ledger.pending)})
        before = self.opened.folder.stage(stage.number - 1)
        write_histories(stage.record, read_histories(before), scales_of(stage.parts.config.evaluation.metrics))

    def _stage(self, entry: LearnedTask, stream: Stream, record: Record, parts: Parts, **more: Any) -> Stage:
        asked = [capped(task, entry.per_task) for task in stream if len(task.test)]
        earlier = map(self.opened.folder.stage, range(1, record.stage))
        memory = with_past(replayable(self.opened.memory, stream), parts, earlier)
        return Stage(parts, stream, record, memory, asked, **more)


class WaitingStages(_WorkspaceStages):
    """A stage for each task that waits in the ledger, with one learner as long as their settings are the same.

    Args:
        opened: The workspace, held for writing.
        plans: Key of a task -> its plan, where that was made already.
        rejected: Rows of the data that were set aside.
    """

    def __init__(
        self, opened: OpenWorkspace, plans: Mapping[str, Planned], rejected: Sequence[Mapping[str, Any]]
    ) -> None:
        super().__init__(opened)
        self.plans, self.rejected = plans, rejected
        self._parts: tuple[tuple[str, ...], Parts] | None = None

    def __iter__(self) -> Iterator[Stage]:
        """Each stage to learn; the learner is in the state after the last one that counts."""
        for entry in self.opened.ledger.pending:
            stream = Stream((*self._learned, self.opened.memory.task(entry.key)), "workspace")
            record = self.opened.next_record(entry.name)
            # A stage that is done was recorded by a command that was killed before it could commit it.
            parts = self._untaught(entry) if record.done else self._taught(entry)
            plan = self.plans.get(entry.key)
            self._learned = stream
            yield self._stage(entry, stream, record, parts, planned=plan, rejected=self.rejected)

    def _untaught(self, entry: LearnedTask) -> Parts:
        return Parts.of(self.opened.settings_with(entry.settings), self.opened.progress)

    def _taught(self, entry: LearnedTask) -> Parts:
        if self._parts is None or self._parts[0] != entry.settings:
            parts = self._untaught(entry)
            load_stage(parts.taught, self.opened, self.opened.last_stage)
            self._parts = (entry.settings, parts)
        return self._parts[1]

    def count(self, stage: Stage) -> None:
        """Commit the stage to the ledger."""
        opened, cost = self.opened, _cost(stage.record)
        left_out = let_go(opened, opened.ledger.pending[0], stage.record)
        entry = opened.ledger.pending[0].model_copy(update={"learned": now(), "cost": cost, "left_out": left_out})
        facts = {
            "stage": stage.number,
            "task": entry.name,
            "train": entry.train,
            "test": entry.test,
            "settings": list(entry.settings),
            "cost": cost.model_dump(),
        }
        opened.commit(
            tasks=(*opened.ledger.tasks, entry),
            pending=opened.ledger.pending[1:],
            history=(*opened.ledger.history, Event(when=entry.learned, what="learned", facts=facts)),
        )
        scores = stage.record.scores().get(entry.name, {})
        scales = scales_of(scores)
        shown = ", ".join(f"{metric} {scales[metric].text(score['mean'])}" for metric, score in scores.items())
        replayed = f"{cost.picks} replayed, {cost.tokens or 0} tokens"
        note(opened.path, f"learned: stage {stage.number} {entry.name}, {entry.train} examples, {replayed}, {shown}")
        opened.write_overview()
        needed = traits_of(stage.parts.strategy, StrategyTraits).restores
        if stage.parts.config.model.keep == "last" and not needed:
            opened.folder.drop_models(before=stage.number)
        if opened.ledger.keep != "examples":
            self._learned = opened.stream  # what went can't be read any more
        publish(opened.path, opened.progress.note)


class DamagedStages(_WorkspaceStages):
    """Stages that count and whose records are damaged: each from the stage before it, with what was known then.

    On the same machine they come out as they were, so that later stages stay as they are.

    Args:
        opened: The workspace, held for writing.
        numbers: Which stages.
    """

    def __init__(self, opened: OpenWorkspace, numbers: Sequence[int]) -> None:
        super().__init__(opened)
        self.numbers = numbers

    def __iter__(self) -> Iterator[Stage]:
        """Each stage to learn again, with a learner of its own in the state after the stage before."""
        for number in self.numbers:
            parts = self.opened.parts_of_stage(number)
            load_stage(parts.taught, self.opened, number - 1)
            stream = Stream(self._learned.tasks[:number], "workspace")
            yield self._stage(self.opened.ledger.tasks[number - 1], stream, self.opened.folder.stage(number), parts)

    def count(self, stage: Stage) -> None:
        """Note it in the log; the ledger stays as it is."""
        note(self.opened.path, f"done anew: stage {stage.number} {stage.task.name}")


def uses_losses(settings: RunConfig) -> bool:
    """Whether the strategy asks the model as it is, so that a plan can't be made before the stage is reached."""
    return kinds.asks_learner(settings.replay.strategy)


def replayable(memory: MemoryStore, stream: Stream) -> Memory:
    """What may be replayed when the last task of `stream` is learned: all earlier ones that still have examples."""
    return memory.memory(task for task in stream.tasks[:-1] if len(task.train))


def capped(task: Task, most: int | None) -> Task:
    """A task with as many of its test examples as are asked; None asks all."""
    # The test split stands in an order that content and seed decided, so its first examples are a fixed sample.
    return task if most is None or most >= len(task.test) else replace(task, test=task.test[:most])


def _cost(record: Record) -> Cost:
    report = record.read("learn.json") if record.has("learn.json") else {}
    seconds = record.read("seconds.json")
    scores = record.scores()
    asked = sum(max((one["n"] for one in found.values()), default=0) for found in scores.values())
    return Cost(
        tokens=report.get("tokens"),
        replay_tokens=report.get("replay_tokens"),
        picks=record.read("plan.json")["picks"],
        asked=asked,
        plan=seconds.get("plan", 0.0),
        train=seconds.get("train"),
        evaluate=seconds.get("evaluate"),
        disk=disk_of(record.path),
        model=disk_of(record.model),
    )
