"""What another trainer is given: a new task's train split with the replay that was planned for it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from inscl.config import kinds
from inscl.config.settings import RunConfig
from inscl.contract import Example, Task
from inscl.contract.plan import ReplayPlan
from inscl.data import load_stream
from inscl.engine.open_run import OpenRun, OpenWorkspace
from inscl.engine.plan import mixed_examples, recorded_plan, stage_rng
from inscl.engine.resume import load_stage
from inscl.errors import ConfigError, DataError

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


def learned_mix(opened: OpenRun, stage: int) -> Mix:
    """What a recorded stage was trained on.

    Raises:
        ConfigError: Nothing was trained at that stage: joint training waits for the last one; or the workspace let
            the train examples go.
    """
    if isinstance(opened, OpenWorkspace) and opened.ledger.keep != "examples":
        raise ConfigError(
            f"{opened.path} keeps {opened.ledger.keep}, not the train examples that stage {stage} learned: export the "
            "mix for the next task with --next, or the model with --merged"
        )
    settings = opened.settings_of_stage(stage)
    record, task = opened.folder.stage(stage), opened.stream.tasks[stage - 1]
    if not record.has("learn.json"):
        raise ConfigError(f"nothing was trained at stage {stage} ({task.name}): {settings.replay.strategy} waits")
    plan = recorded_plan(record, opened.memory)
    cut = record.read("learn.json").get("truncated", 0)
    notes = (f"{cut} prompts were shortened here to fit max_length {settings.training.max_length}.",) if cut else ()
    return Mix(task.name, mixed_examples(task, plan, settings.seed), plan, notes)


def next_mix(opened: OpenRun, data: str | Path) -> Mix:
    """The plan for a task that wasn't learned yet, made as `inscl learn` would make it; nothing is recorded.

    Args:
        opened: The run or workspace.
        data: A file or folder with one task.

    Raises:
        DataError: It can't be read, or holds more than one task.
    """
    stage, settings, parts = opened.last_stage, opened.settings, opened.parts
    task, notes = _read(settings, data)
    if stage and kinds.asks_learner(settings.replay.strategy):
        load_stage(parts.taught, opened, stage)  # it is the model as it is now that is asked
    # Of a workspace's tasks some may have been erased.
    memory = opened.memory.memory(task for task in opened.stream.tasks[:stage] if len(task.train))
    plan = parts.strategy.plan(memory, task, parts.budget, stage_rng(settings.seed, stage + 1))
    return Mix(task.name, mixed_examples(task, plan, settings.seed), plan, notes)


def _read(settings: RunConfig, data: str | Path) -> tuple[Task, tuple[str, ...]]:
    """The one task in `data`, read by the run's settings of `stream`, and what was noticed."""
    reading = settings.stream.model_dump(exclude={"path", "order", "held_out"})
    new = load_stream({**reading, "path": str(data)}, seed=settings.seed)
    if len(new) != 1:
        raise DataError(f"holds {len(new)} tasks ({', '.join(new.names)}); one was expected: give its file", data)
    (task,) = new.tasks
    notes = list(new.findings)
    if most := settings.stream.train_per_task:
        notes.append(f"At most {most} examples of a task are taken (stream.train_per_task).")
    return task, tuple(notes)
