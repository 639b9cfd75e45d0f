"""Stages of a workspace: learned one after the other, made to count, done anew where they are damaged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from inscl.config import kinds
from inscl.config.settings import RunConfig
from inscl.contract import Memory, Stream, Task
from inscl.contract.plan import ReplayPlan
from inscl.contract.seams import Learner, Progress
from inscl.engine.parts import Parts
from inscl.engine.stage import load_stage, teach_stage
from inscl.errors import WorkspaceError
from inscl.storage.files.atomic import read_json, read_jsonl
from inscl.storage.files.event_log import note
from inscl.storage.files.provenance import now
from inscl.storage.memory.store import MemoryStore
from inscl.storage.run.ledger import Cost, Event, LearnedTask, Ledger, stored_stream
from inscl.storage.run.run_folder import Record, RunFolder
from inscl.workspace.opening import disk_of, folder_of, settings_of, write_overview
from inscl.workspace.standings import read_standings, write_standings

__all__ = ["Planned", "Stages", "load_last", "replayable", "set_aside", "undone", "uses_losses"]

Planned = tuple[ReplayPlan, float]
"""A plan, and the seconds that making it took."""

_REJECTED = "rejected.jsonl"


class Stages:
    """Learns waiting tasks one after the other, with one learner as long as their settings are the same."""

    def __init__(self, path: Path, store: MemoryStore, learned: Stream, progress: Progress | None) -> None:
        self.path, self.store, self.learned, self.progress = path, store, learned, progress
        self._parts: Parts | None = None
        self._settings: tuple[str, ...] = ()

    def learn(
        self, ledger: Ledger, entry: LearnedTask, plan: Planned | None, rejected: Sequence[Mapping[str, object]]
    ) -> Ledger:
        """Learn the first waiting task, and make it count.

        Args:
            ledger: The workspace's state.
            entry: The task.
            plan: What to replay, where that is planned already.
            rejected: Rows of the data that were set aside; none leaves those that stand with the stage.
        """
        parts = self._parts_for(ledger, entry)
        stream = Stream((*self.learned.tasks, self.store.task(entry.key)), "workspace")
        folder = folder_of(self.path, parts.config, ledger, [entry.name])
        record = folder.stage(len(stream))
        if record.done:
            # Recorded by a command that was killed before it could say so. Whoever learns next loads that stage.
            self._parts = None
        else:
            self._record(parts, stream, folder, entry, plan, rejected)
        self.learned = stream
        return self._commit(ledger, entry, folder, record, plan[1] if plan else 0.0, parts)

    def again(self, ledger: Ledger, number: int) -> None:
        """Do a stage anew whose records are damaged: from the stage before it, with what was known then.

        On the same machine it comes out as it was, so that later stages stay as they are.
        """
        entry = ledger.tasks[number - 1]
        before = ledger.changed(tasks=ledger.tasks[: number - 1])
        self._parts = None
        parts = self._parts_for(before, entry)
        folder = folder_of(self.path, parts.config, before, [entry.name])
        self._record(parts, Stream(self.learned.tasks[:number], "workspace"), folder, entry, None, ())
        note(self.path, f"done anew: stage {number} {entry.name}")
        self._parts = None

    def _record(
        self,
        parts: Parts,
        stream: Stream,
        folder: RunFolder,
        entry: LearnedTask,
        plan: Planned | None,
        rejected: Sequence[Mapping[str, object]],
    ) -> None:
        record = folder.stage(len(stream))
        # The data may not be at hand any more, so that nobody could tell these rows again.
        rejected = rejected or set_aside(record)
        record.begin(keep=[_REJECTED] if rejected else [])
        if rejected:
            record.write_rows(_REJECTED, rejected)
        asked = [_capped(one, entry.per_task) for one in stream if len(one.test)]
        memory = replayable(self.store, stream)
        teach_stage(parts, parts.taught, stream, record, memory, asked, plan[0] if plan else None)
        self.store.learn_facts(*parts.known((stream.tasks[-1],)))
        write_standings(record, read_standings(folder.stage(record.stage - 1)))
        record.finish()

    def _parts_for(self, ledger: Ledger, entry: LearnedTask) -> Parts:
        if self._parts is None or self._settings != entry.settings:
            self._parts = Parts.of(settings_of(self.path, entry.settings), self.progress)
            self._settings = entry.settings
            load_last(self._parts.taught, self.path, self._parts.config, ledger)
        return self._parts

    def _commit(
        self, ledger: Ledger, entry: LearnedTask, folder: RunFolder, record: Record, planned: float, parts: Parts
    ) -> Ledger:
        cost = _cost(record, planned)
        learned = entry.model_copy(update={"learned": now(), "cost": cost})
        facts = {
            "stage": record.stage,
            "task": entry.name,
            "train": entry.train,
            "test": entry.test,
            "settings": list(entry.settings),
            "cost": cost.model_dump(),
        }
        ledger = ledger.changed(
            tasks=(*ledger.tasks, learned),
            pending=ledger.pending[1:],
            history=(*ledger.history, Event(when=learned.learned, what="learned", facts=facts)),
        ).write(self.path)
        scores = record.scores().get(entry.name, {})
        shown = ", ".join(f"{metric} {score['mean']:.1f}" for metric, score in scores.items())
        replayed = f"{cost.picks} replayed, {cost.tokens or 0} tokens"
        note(self.path, f"learned: stage {record.stage} {entry.name}, {entry.train} examples, {replayed}, {shown}")
        write_overview(self.path, settings_of(self.path), ledger)
        if parts.config.model.keep == "last":
            folder.drop_models(before=record.stage)
        return ledger


def load_last(learner: Learner, path: Path, settings: RunConfig, ledger: Ledger) -> None:
    """Bring a learner to the state after the last stage that counts."""
    folder = folder_of(path, settings, ledger)
    last = len(ledger.tasks)
    if last and (folder.stage(last).path / "learn.json").exists():
        load_stage(learner, folder, stored_stream(path, ledger), last)


def undone(path: Path, settings: RunConfig, ledger: Ledger) -> list[int]:
    """Stages that count and whose records don't: somebody removed ``DONE`` to have a damaged one done anew."""
    folder = folder_of(path, settings, ledger)
    return [number for number in range(1, len(ledger.tasks) + 1) if not folder.stage(number).done]


def set_aside(record: Record) -> list[Mapping[str, object]]:
    """Rows set aside that stand in the folder of a stage, counting or not; none if there are none to be read."""
    path = record.path / _REJECTED
    try:
        return read_jsonl(path) if path.exists() else []
    except WorkspaceError:
        return []


def uses_losses(settings: RunConfig) -> bool:
    """Whether the strategy asks the model as it is, so that a plan can't be made before the stage is reached."""
    return kinds.accepts(kinds.load("strategies", settings.replay.strategy), "losses")


def replayable(store: MemoryStore, stream: Stream) -> Memory:
    """What may be replayed when the last task of `stream` is learned: all earlier ones that still have examples."""
    return store.memory(task for task in stream.tasks[:-1] if len(task.train))


def _capped(task: Task, most: int | None) -> Task:
    # The test split stands in an order that content and seed decided, so its first examples are a fixed sample.
    return task if most is None or most >= len(task.test) else replace(task, test=task.test[:most])


def _cost(record: Record, planned: float) -> Cost:
    taken = record.path / "learn.json"
    report = read_json(taken) if taken.exists() else {}
    seconds = read_json(record.path / "seconds.json")
    scores = record.scores()
    asked = sum(next(iter(found.values()))["n"] for found in scores.values() if found)
    return Cost(
        tokens=report.get("tokens"),
        replay_tokens=report.get("replay_tokens"),
        picks=read_json(record.path / "plan.json")["picks"],
        asked=asked,
        plan=round(seconds.get("plan", 0.0) + planned, 3),
        train=seconds.get("train"),
        evaluate=seconds.get("evaluate"),
        disk=disk_of(record.path),
        model=disk_of(record.model),
    )
