"""The plan of one stage: what is replayed, and why."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np

from inscl.config.settings import RunConfig
from inscl.contract import Example, Memory, Stream, Task
from inscl.contract.made import MadeOfTasks
from inscl.contract.noted import Noted
from inscl.contract.plan import PastStage, ReplayPlan
from inscl.contract.seams import Learner, Persistent, ReplayStrategy
from inscl.contract.traits import LearnerTraits, StrategyTraits, traits_of
from inscl.data import load_stream
from inscl.engine.parts import Parts
from inscl.storage.memory.store import MemoryStore
from inscl.storage.run.ledger import LEDGER, stored_stream
from inscl.storage.run.stage_record import Record

__all__ = [
    "NOTED",
    "NOTED_FILES",
    "VISITS",
    "made_of_tasks",
    "mixed_examples",
    "plan_stage",
    "recorded_plan",
    "stage_rng",
    "stream_of",
    "waits",
    "with_past",
    "write_noted",
    "write_plan",
]

NOTED, NOTED_FILES = "noted.jsonl", "noted"
"""What a strategy noted of the task that a stage learned, and the folder of its files."""
VISITS = "visits.jsonl"
"""The losses of a stage's examples as training came to them, for a strategy that reads those."""


def plan_stage(parts: Parts, stream: Stream, stage: int, memory: Memory) -> ReplayPlan:
    """The plan of one stage, 1-based; an empty one where the strategy `waits` for the last task."""
    task = stream.tasks[stage - 1]
    if waits(parts, stream, stage):
        note = "nothing is learned before the last task"
        return ReplayPlan(task.name, parts.config.replay.strategy, budget=parts.budget.to_json(), notes=(note,))
    return parts.strategy.plan(memory, task, parts.budget, stage_rng(parts.config.seed, stage))


def with_past(memory: Memory, parts: Parts, records: Iterable[Record]) -> Memory:
    """The memory with what earlier stages replayed, if the strategy `remembers`, and noted, if it `describes`.

    Args:
        memory: What may be replayed.
        parts: With the strategy.
        records: Of the earlier stages, in their order.
    """
    traits, earlier = traits_of(parts.strategy, StrategyTraits), list(records)
    if traits.remembers:
        memory = replace(memory, past=tuple(map(_past, earlier)))
    if traits.describes:
        saves = traits_of(parts.taught, LearnerTraits).saves
        memory = replace(memory, noted={record.task: _noted(record, saves) for record in earlier})
    return memory


def made_of_tasks(strategy: ReplayStrategy) -> MadeOfTasks:
    """What a strategy made for its last plan, for the memory to keep; nothing of one without the trait."""
    if not traits_of(strategy, StrategyTraits).summarises:
        return MadeOfTasks()
    more = {name: getattr(strategy, name) for name in ("tagged", "neighbours") if hasattr(strategy, name)}
    return MadeOfTasks(cast(Any, strategy).summaries, **more)


def _past(record: Record) -> PastStage:
    plan = ReplayPlan.from_json(record.read("plan.json"), record.rows("replay.jsonl"))
    rows = record.rows(VISITS) if record.has(VISITS) else []
    return PastStage(plan, {row["id"]: (row["first"], row["last"]) for row in rows})


def _noted(record: Record, saves: bool) -> Noted:
    facts = [row["provenance"] for row in record.rows(NOTED)] if record.has(NOTED) else []
    folder = record.path / NOTED_FILES

    def restore(learner: Learner) -> None:
        record.check("model")
        cast(Persistent, learner).load(record.model)

    kept = saves and record.keeps_model and record.has("learn.json")
    return Noted(facts, folder if folder.is_dir() else None, restore if kept else None)


def write_noted(record: Record, task: Task, facts: Iterable[Mapping[str, Any]]) -> None:
    """Write what a strategy noted of a task; ``described`` says that it goes when an example of the task is erased."""
    record.write_rows(NOTED, [{"task": task.name, "provenance": {**one, "described": True}} for one in facts])


def recorded_plan(record: Record, memory: MemoryStore) -> ReplayPlan:
    """The plan of a stage as it was written, with the bytes of pictures from the memory."""
    plan = ReplayPlan.from_json(record.read("plan.json"), record.rows("replay.jsonl"))
    return replace(plan, picks=tuple(replace(one, example=memory.with_pictures(one.example)) for one in plan.picks))


def waits(parts: Parts, stream: Stream, stage: int) -> bool:
    """Whether nothing is learned at this stage: joint training waits for the last task."""
    return stage < len(stream) and traits_of(parts.strategy, StrategyTraits).waits


def mixed_examples(new_task: Task, plan: ReplayPlan, seed: int) -> list[Example]:
    """All of the new task's train split and the replay, shuffled together."""
    both = [*new_task.train, *plan.examples]
    return [both[k] for k in np.random.default_rng([seed, len(both)]).permutation(len(both))]


def write_plan(record: Record, plan: ReplayPlan) -> None:
    """Write ``plan.json`` and ``replay.jsonl``: before any training, so that the reasons stand whatever comes."""
    record.write("plan.json", {**plan.to_json(), "stage": record.stage})
    record.write_rows("replay.jsonl", [pick.to_json() for pick in plan.picks])


def stream_of(settings: RunConfig) -> Stream:
    """The stream that a configuration names, sampled with its seed; a workspace's is what it has learned.

    Raises:
        ConfigError: The settings of the stream are wrong, or others name tasks that it doesn't have.
        DataError: It can't be read.
    """
    folder = Path(settings.output_dir)
    if settings.stream.path == "workspace" and (folder / LEDGER).exists():
        return stored_stream(folder)
    stream = load_stream(settings.stream.model_dump(), seed=settings.seed)
    settings.evaluation.check_tasks([*(task.name for task in stream.scored), *stream.left_out])
    return stream


def stage_rng(seed: int, stage: int) -> np.random.Generator:
    """The chance of one stage; independent of how many stages ran before it in this process."""
    return np.random.default_rng([seed, stage])
