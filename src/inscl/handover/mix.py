"""What another trainer is given: a new task's train split with the replay that was planned for it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from inscl.config import kinds
from inscl.config.settings import RunConfig
from inscl.contract import Example, Stream, Task
from inscl.contract.plan import Pick, ReplayPlan
from inscl.contract.seams import Progress
from inscl.data import load_stream
from inscl.engine.parts import Parts
from inscl.engine.plan import mixed_examples, stage_rng
from inscl.engine.stage import load_stage
from inscl.errors import ConfigError, DataError
from inscl.storage.run.run_folder import RunFolder

__all__ = ["Mix", "learned_mix", "next_mix"]


@dataclass(frozen=True)
class Mix:
    """A new task and what is rehearsed with it.

    Attributes:
        task: The new task's name.
        examples: Both, shuffled together with the run's seed.
        plan: What is replayed, and why.
        notes: What a reader of the export should know.
    """

    task: str
    examples: list[Example]
    plan: ReplayPlan
    notes: tuple[str, ...] = ()


def learned_mix(settings: RunConfig, stream: Stream, folder: RunFolder, stage: int) -> Mix:
    """What a recorded stage was trained on.

    Raises:
        ConfigError: Nothing was trained at that stage: joint training waits for the last one.
    """
    record, task = folder.stage(stage), stream.tasks[stage - 1]
    if not record.has("learn.json"):
        raise ConfigError(f"nothing was trained at stage {stage} ({task.name}): {settings.replay.strategy} waits")
    picks = tuple(Pick.from_json(row) for row in record.rows("replay.jsonl"))
    plan = ReplayPlan(task.name, settings.replay.strategy, picks)
    cut = record.read("learn.json").get("truncated", 0)
    notes = (f"{cut} prompts were shortened here to fit max_length {settings.training.max_length}.",) if cut else ()
    return Mix(task.name, mixed_examples(task, plan, settings.seed), plan, notes)


def next_mix(
    settings: RunConfig, stream: Stream, folder: RunFolder, data: str | Path, progress: Progress | None = None
) -> Mix:
    """The plan for a task that wasn't learned yet, made as `inscl learn` would make it; nothing is recorded.

    Args:
        settings: The run's.
        stream: What was learned so far.
        folder: Its records.
        data: A file or folder with one task.
        progress: Where to tell how far it is.

    Raises:
        DataError: It can't be read, or holds more than one task.
    """
    stage = folder.finished()
    task, notes = _read(settings, data)
    parts = Parts.of(settings, progress)
    if stage and kinds.accepts(kinds.load("strategies", settings.replay.strategy), "losses"):
        load_stage(parts.taught, folder, stream, stage)  # the losses are those of the model as it is now
    # Of a workspace's tasks some may have been erased.
    memory = folder.memory.memory(task for task in stream.tasks[:stage] if len(task.train))
    plan = parts.strategy.plan(memory, task, parts.budget, stage_rng(settings.seed, stage + 1))
    return Mix(task.name, mixed_examples(task, plan, settings.seed), plan, notes)


def _read(settings: RunConfig, data: str | Path) -> tuple[Task, tuple[str, ...]]:
    """The one task in `data`, read by the run's settings of `stream`, and what was noticed."""
    reading = settings.stream.model_dump(exclude={"path", "order"})
    new = load_stream({**reading, "path": str(data)}, seed=settings.seed)
    if len(new) != 1:
        raise DataError(f"holds {len(new)} tasks ({', '.join(new.names)}); one was expected: give its file", data)
    (task,) = new.tasks
    notes = list(new.findings)
    if most := settings.stream.train_per_task:
        notes.append(f"At most {most} examples of a task are taken (stream.train_per_task).")
    return task, tuple(notes)
