"""New data for a workspace: reads it, recognises known data, and compares it with the memory."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from inscl.config.settings import RunConfig
from inscl.contract import Example, Stream, Task
from inscl.data import load_stream
from inscl.data.names import check_unique
from inscl.data.quoting import excerpt
from inscl.data.stream import is_listed
from inscl.errors import ConfigError, DataError, Problem
from inscl.storage.run.ledger import LearnedTask, Ledger

__all__ = ["Data", "NewData", "read_new_data", "recognised", "without_leaks"]

Data = str | Path | Task | Stream


@dataclass(frozen=True)
class NewData:
    """Data as it was read.

    Attributes:
        tasks: The tasks in the order given.
        findings: What was noticed while reading.
        rejected: Rows that were set aside: unreadable, rejected by a refiner, or replaced.
    """

    tasks: tuple[Task, ...] = ()
    findings: tuple[str, ...] = ()
    rejected: tuple[Mapping[str, Any], ...] = field(default=())


def read_new_data(settings: RunConfig, data: Sequence[Data], name: str | None = None) -> NewData:
    """Read tasks from files, folders, hub ids, `Task` or `Stream` objects, by the workspace's settings of `stream`.

    Args:
        settings: Their columns, samples, held-out share and what to do with leaks.
        data: Each a task or several.
        name: What to call the one task; default: as the data has it.

    Raises:
        ConfigError: A name for several tasks.
        DataError: The data can't be read, holds tasks out, or two tasks have one name.
    """
    streams = [_read(settings, item, name) for item in data]
    if held_out := [task.name for stream in streams for task in stream.held_out]:
        raise DataError(f"a workspace learns every task it is given, and the stream holds out {', '.join(held_out)}")
    tasks = [task for stream in streams for task in stream]
    rejected = [row for stream in streams for row in stream.rejected]
    if name is not None and len(tasks) != 1:
        raise ConfigError([Problem("--name", f"is for one task, and the data holds {len(tasks)}")], "learn")
    if name is not None:
        tasks = [replace(tasks[0], name=name)]
        rejected = [{**row, "task": name} if "task" in row else row for row in rejected]
    check_unique((task.name, "data given now") for task in tasks)
    return NewData(
        tuple(_shuffled(task, settings.seed) for task in tasks),
        tuple(finding for stream in streams for finding in stream.findings),
        tuple(rejected),
    )


def recognised(ledger: Ledger, tasks: Sequence[Task]) -> tuple[list[Task], list[LearnedTask]]:
    """Tell new tasks from those that were learned already.

    Returns:
        The tasks that are new or waiting, and the entries of those learned.

    Raises:
        DataError: A new task has the name of another that was learned.
    """
    learned = {task.fingerprint: task for task in ledger.tasks}
    fresh, known = [], []
    for task in tasks:
        found = learned.get(task.content_fingerprint)
        if found is None:
            fresh.append(task)
        else:
            known.append(found)
    stages = {task.name: stage for stage, task in enumerate(ledger.tasks, start=1)}
    for task in fresh:
        if task.name in stages:
            raise DataError(
                f"a task named {task.name!r} was learned at stage {stages[task.name]} from other data: give this one "
                "another name with --name"
            )
    check_unique([*((name, f"stage {stages[name]}") for name in stages), *((t.name, "data given now") for t in fresh)])
    return fresh, known


def without_leaks(tasks: Sequence[Task], earlier: Sequence[Task], leaks: str) -> tuple[list[Task], list[str]]:
    """Compare tasks with those learned before: a test example of one may not be a train example of another.

    Args:
        tasks: The new tasks.
        earlier: What was learned before.
        leaks: ``error``, ``drop`` (leave the new copy out) or ``allow``.

    Returns:
        The tasks, and what was found, one line each.

    Raises:
        DataError: Something leaks, and `leaks` is ``error``; or nothing would be left of a split.
    """
    kept, notes = [], []
    for number, task in enumerate(tasks):
        others = [*earlier, *tasks[:number]]
        for split, other_split in (("test", "train"), ("train", "test")):
            mine = {example.id: example for example in getattr(task, split)}
            found = {other.name: hits for other in others if (hits := mine.keys() & _ids(getattr(other, other_split)))}
            if not found:
                continue
            shared = set().union(*found.values())
            note = _told(task, split, other_split, found, mine)
            if leaks == "error":
                raise DataError(
                    f"{note}. Remove them, or leave these copies out with --set stream.leaks=drop, or keep them with "
                    "--set stream.leaks=allow"
                )
            notes.append(note + ("; left out of this task" if leaks == "drop" else "; kept"))
            if leaks == "drop":
                task = _without(task, split, shared)
        kept.append(task)
    return kept, notes


def _read(settings: RunConfig, item: Data, name: str | None) -> Stream:
    if isinstance(item, Task):
        return Stream((item,))
    if isinstance(item, Stream):
        return item
    section = settings.stream.model_dump()
    # Named here, a file's column `task` doesn't count.
    a_list = str(item) == "demo" or str(item).lower().endswith((".yaml", ".yml")) or is_listed(item)
    section["path"] = str(item) if name is None or a_list else [{"name": name, "path": str(item)}]
    return load_stream(section, seed=settings.seed)


def _shuffled(task: Task, seed: int) -> Task:
    """The same task, its test split in an order that content and seed decide.

    Its first n examples are then a seeded sample, the same at every stage, and part of every larger one.
    """
    return replace(task, test=tuple(sorted(task.test, key=lambda example: _place(example, seed))))


def _place(example: Example, seed: int) -> bytes:
    return hashlib.sha256(f"{seed}\0{example.id}".encode()).digest()


def _ids(examples: Sequence[Example]) -> set[str]:
    # A split on disk knows its ids without reading any text.
    known = getattr(examples, "ids", None)
    return set(known) if known is not None else {example.id for example in examples}


def _told(task: Task, split: str, other: str, found: Mapping[str, set[str]], mine: Mapping[str, Example]) -> str:
    count = len(set().union(*found.values()))
    places = ", ".join(f"{name} ({len(hits)})" for name, hits in found.items())
    first = mine[min(next(iter(found.values())))]
    many = f"{count} {split} examples of {task.name} are" if count > 1 else f"a {split} example of {task.name} is"
    return f"{many} {other} examples of earlier tasks: {places}; as {excerpt(first.input or first.instruction)}"


def _without(task: Task, split: str, ids: set[str]) -> Task:
    left = tuple(example for example in getattr(task, split) if example.id not in ids)
    if not left:
        raise DataError(f"nothing would be left of the {split} split of {task.name!r}: earlier tasks have all of it")
    return replace(task, train=left) if split == "train" else replace(task, test=left)
