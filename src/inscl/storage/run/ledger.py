"""``workspace.json``: which tasks a workspace has learned, in order. What it doesn't name doesn't count."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from inscl.contract import Stream, Task
from inscl.errors import UserError, WorkspaceError
from inscl.storage.files.sealed_files import copy_of, read_sealed_json, write_sealed_json
from inscl.storage.memory.store import MemoryStore

__all__ = ["LEDGER", "Cost", "Discarded", "Event", "Keep", "LearnedTask", "Ledger", "Unfinished", "stored_stream"]

LEDGER = "workspace.json"
SCHEMA = 2
"""Of a workspace that lets its examples go; all others are written as 1, which older versions read as well."""
Keep = Literal["examples", "instructions", "none"]
"""What stays of the train examples of a task that was learned."""


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", protected_namespaces=())


class Cost(_Entry):
    """What a stage took; None where nothing was measured. Seconds are wall time.

    Attributes:
        tokens: Tokens trained on, all epochs.
        replay_tokens: The part of them that was replayed.
        picks: Examples that were replayed.
        asked: Test examples that were answered.
        plan: Seconds of planning.
        train: Seconds of training.
        evaluate: Seconds of evaluation.
        disk: Bytes of the stage's folder.
        model: The part of them that are weights.
    """

    tokens: int | None = None
    replay_tokens: int | None = None
    picks: int = 0
    asked: int = 0
    plan: float | None = None
    train: float | None = None
    evaluate: float | None = None
    disk: int = 0
    model: int = 0


class LearnedTask(_Entry):
    """One task of a workspace.

    Attributes:
        key: Its key in the memory store; never used for another task.
        name: Its name.
        fingerprint: SHA-256 of its examples' ids, split by split.
        train: Train examples as learned.
        test: Test examples as learned.
        instructions: Distinct train instructions as learned.
        max_new_tokens: As in `Task`.
        settings: What its stage was learned with, where that differs from the workspace's configuration.
        per_task: Most test examples of each task that its stage was scored on; None means all.
        learned: When, UTC; empty while it is waiting.
        cost: What its stage took.
        erased: How many of its examples were erased since.
        left_out: How many of them were let go when it was learned, without a stand-in (`Ledger.keep`).
    """

    key: str
    name: str
    fingerprint: str
    train: int
    test: int
    instructions: int = 0
    max_new_tokens: int | None = None
    settings: tuple[str, ...] = ()
    per_task: int | None = None
    learned: str = ""
    cost: Cost = Cost()
    erased: int = 0
    left_out: int = 0

    @property
    def left(self) -> int:
        """How many examples, or stand-ins for them, the memory has of it."""
        return self.train + self.test - self.left_out - self.erased

    @property
    def gone(self) -> bool:
        """Whether none of them is left."""
        return self.left <= 0


class Discarded(_Entry):
    """Stages that were rolled back; they stand in ``discarded/<number>`` until they are pruned.

    Attributes:
        number: The folder's.
        first: Number of the first of the stages.
        when: UTC.
        tasks: What they had learned, in order.
    """

    number: int
    first: int
    when: str
    tasks: tuple[LearnedTask, ...]


class Event(_Entry):
    """Something that happened to a workspace, in numbers and names; no text of any example.

    Attributes:
        when: UTC.
        what: ``made``, ``learned``, ``rolled back``, ``pruned`` or ``erased``.
        facts: Its particulars.
    """

    when: str
    what: str
    facts: dict[str, Any] = {}


class Unfinished(_Entry):
    """An erasure that was begun.

    Attributes:
        task: Whose examples; None for an expression.
        match: A digest of the expression, which itself may be what must not be found any more; None for a task.
        trained: The stages trained on what goes, as they were told before anything went.
        parents: Ids of what goes and others were made from, so that those are still found when it is gone.
        made: How many of the examples go because of what they were made from.
    """

    task: str | None = None
    match: str | None = None
    trained: tuple[dict[str, Any], ...] = ()
    parents: tuple[str, ...] = ()
    made: int = 0


class Ledger(_Entry):
    """A workspace's state.

    Attributes:
        version: Of this file's format.
        revision: Counts the changes; other files say which one they were made from.
        next_key: Number in the next task's key.
        next_discarded: Number of the next folder of discarded stages.
        per_task: Most test examples of each task that a stage is scored on; None means all.
        keep: What stays of a task's train examples once it is learned: all; its description; or of that no text that
            may hold an input (`inscl.contract.described`).
        tasks: What was learned, in order: the task of stage k is ``tasks[k - 1]``.
        pending: What is being learned; its examples are in the memory.
        discarded: What was rolled back and not pruned.
        erasing: What erasure was begun and not finished.
        history: What happened, oldest first.
    """

    version: Literal[1, 2] = Field(1, alias="schema", serialization_alias="schema")
    revision: int = 0
    next_key: int = 1
    next_discarded: int = 1
    per_task: int | None = None
    keep: Keep = "examples"
    tasks: tuple[LearnedTask, ...] = ()
    pending: tuple[LearnedTask, ...] = ()
    discarded: tuple[Discarded, ...] = ()
    erasing: Unfinished | None = None
    history: tuple[Event, ...] = ()

    @classmethod
    def read(cls, folder: Path) -> Ledger:
        """The state of the workspace in `folder`.

        Raises:
            UserError: There is no workspace.
            WorkspaceError: The file is damaged, or a newer inscl wrote it.
        """
        path = folder / LEDGER
        if not path.is_file() and not copy_of(path).is_file():
            raise UserError(f"no workspace there: {folder} has no {LEDGER}; make one with `inscl init {folder}`")
        content = read_sealed_json(path)
        schema = content.get("schema")
        if isinstance(schema, int) and schema > SCHEMA:
            raise WorkspaceError(f"{path} was written by a newer inscl (schema {schema}): update inscl")
        try:
            return cls.model_validate(content)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            place = ".".join(map(str, first["loc"])) or "the whole"
            raise WorkspaceError(f"{path} is damaged: {place}: {first['msg']}") from error

    def write(self, folder: Path) -> Ledger:
        """Make this state count, as the next revision; returns it."""
        counted = self.changed(revision=self.revision + 1)
        write_sealed_json(folder / LEDGER, counted.model_dump(mode="json", by_alias=True))
        return counted

    def changed(self, **changes: Any) -> Ledger:
        """The same state but for `changes`."""
        return self.model_copy(update=changes)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the tasks learned, in order."""
        return tuple(task.name for task in self.tasks)

    @property
    def keys(self) -> tuple[str, ...]:
        """Every key that counts in the memory, discarded and waiting tasks included."""
        former = [task.key for group in self.discarded for task in group.tasks]
        return (*(task.key for task in self.tasks), *(task.key for task in self.pending), *former)


def stored_stream(folder: Path, ledger: Ledger | None = None, store: MemoryStore | None = None) -> Stream:
    """What the workspace in `folder` has learned, as a stream; examples are read when they are looked at.

    A task whose examples were all erased is there without any.

    Args:
        folder: The workspace.
        ledger: Its state; read if None.
        store: Its memory; opened if None.
    """
    ledger = ledger or Ledger.read(folder)
    store = store or MemoryStore(folder / "memory")
    known = set(store.keys()) if ledger.tasks else set()
    tasks = tuple(_task(store, task, known, bool(ledger.erasing)) for task in ledger.tasks)
    return Stream(tasks, "workspace")


def _task(store: MemoryStore, task: LearnedTask, known: set[str], erasing: bool) -> Task:
    if task.key in known:
        return store.task(task.key)
    if task.gone or erasing:
        return Task(task.name, (), (), task.max_new_tokens)
    raise WorkspaceError(f"the memory has lost the examples of the task {task.name!r}: restore it from a backup")
