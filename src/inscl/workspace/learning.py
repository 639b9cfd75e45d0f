"""Learning in a workspace: read, plan, show what it will cost, then a stage for every new task."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from inscl.config.identity import deciding_settings
from inscl.config.settings import RunConfig
from inscl.contract import Stream, Task
from inscl.contract.seams import Progress
from inscl.engine.parts import Parts
from inscl.engine.plan import plan_stage, waits
from inscl.errors import ConfigError, Problem, UserError
from inscl.storage.memory.store import MemoryStore
from inscl.storage.run.ledger import LearnedTask, Ledger, stored_stream
from inscl.storage.run.run_folder import Record
from inscl.workspace.estimates import estimate
from inscl.workspace.incoming import (
    Data,
    Incoming,
    content_fingerprint,
    read_incoming,
    recognised,
    without_leaks,
)
from inscl.workspace.opening import check_per_task, folder_of, settings_of, store_of, write_overview, writing
from inscl.workspace.results import Proposal, ProposedTask
from inscl.workspace.stages import Planned, Stages, load_last, replayable, set_aside, undone, uses_losses

__all__ = ["Wish", "learn", "propose"]

BudgetWish = str | int | Mapping[str, float]


@dataclass(frozen=True)
class Wish:
    """What the user asked for.

    Attributes:
        data: What to learn; empty goes on with what an interrupted command had begun.
        name: What to call the one task.
        budget: Examples for each earlier task, or as in ``total=500``; None as configured.
        strategy: Registered name; None as configured.
        per_task: Most test examples of each task to score; None as the workspace has it.
        changes: Settings for these stages alone.
    """

    data: tuple[Data, ...] = ()
    name: str | None = None
    budget: BudgetWish | None = None
    strategy: str | None = None
    per_task: int | None = None
    changes: tuple[str, ...] = ()

    @property
    def settings(self) -> tuple[str, ...]:
        """The same as overrides of the workspace's configuration."""
        budget = () if self.budget is None else (f"replay.budget.{_budget(self.budget)}",)
        strategy = () if self.strategy is None else (f"replay.strategy={self.strategy}", "replay.params={}")
        return (*strategy, *budget, *self.changes)


@dataclass
class _Prepared:
    """What is about to be learned: entries with their tasks, plans and seconds of planning; and what was learned."""

    store: MemoryStore
    learned: Stream
    proposal: Proposal
    entries: list[LearnedTask]
    tasks: list[Task]
    plans: list[Planned]
    incoming: Incoming


def propose(path: Path, wish: Wish, progress: Progress | None = None) -> Proposal:
    """What `learn` would do; nothing is written but caches of embeddings and tags."""
    return _prepare(path, Ledger.read(path), wish, progress).proposal


def learn(
    path: Path, wish: Wish, agreed: Callable[[Proposal], bool] | None = None, progress: Progress | None = None
) -> tuple[Proposal, tuple[str, ...]]:
    """Learn what is new in the data; an interrupted call goes on where it was.

    Args:
        path: The workspace.
        wish: What to learn and how.
        agreed: Shown the plan, and asked, before anything is written; None goes on.
        progress: Where to tell how far it is.

    Returns:
        What was proposed, and the tasks learned.
    """
    with writing(path) as ledger:
        ledger, mended = _mend(path, ledger, progress)
        prepared = _prepare(path, ledger, wish, progress, mended)
        if (agreed is not None and not agreed(prepared.proposal)) or not prepared.entries:
            return prepared.proposal, ()
        ledger = _begin(path, ledger, prepared)
        stages = Stages(path, prepared.store, prepared.learned, progress)
        rejected = prepared.incoming.rejected or set_aside(_first(path, ledger, ledger.pending[0]))
        for number, entry in enumerate(ledger.pending):
            # A plan by losses, but for the first one, was made with a model that hadn't learned the tasks in between.
            known = number == 0 or not uses_losses(settings_of(path, entry.settings))
            plan = prepared.plans[number] if known else None
            ledger = stages.learn(ledger, entry, plan, rejected)
        return prepared.proposal, tuple(entry.name for entry in prepared.entries)


def _mend(path: Path, ledger: Ledger, progress: Progress | None) -> tuple[Ledger, bool]:
    """Do stages anew whose records were found damaged; the ledger then, and whether there were any."""
    missing = undone(path, settings_of(path), ledger)
    if not missing:
        return ledger, False
    store = store_of(path)
    learned = stored_stream(path, ledger, store)
    _refuse_erased(learned, missing)
    # What is made from all stages is made anew, even if this is killed at its end.
    (path / "scores.json").unlink(missing_ok=True)
    ledger = ledger.write(path)
    stages = Stages(path, store, learned, progress)
    for number in missing:
        stages.again(ledger, number)
    write_overview(path, settings_of(path), ledger)
    return ledger, True


def _refuse_erased(learned: Stream, missing: Sequence[int]) -> None:
    """Raise where nothing is left to do a stage anew with."""
    for number in missing:
        task = learned.tasks[number - 1]
        if not len(task.train):
            raise UserError(
                f"stage {number} isn't recorded whole and can't be done anew: the train examples of {task.name} were "
                f"erased. Go back before it with `inscl rollback {number - 1}`, and learn the later tasks again"
            )


def _prepare(path: Path, ledger: Ledger, wish: Wish, progress: Progress | None, mended: bool = False) -> _Prepared:
    """Read, recognise, compare, plan; writes nothing."""
    settings = settings_of(path, wish.settings)
    _check_changes(settings_of(path), settings)
    check_per_task(wish.per_task, "learn")
    incoming = read_incoming(settings, wish.data, wish.name)
    fresh, known = recognised(ledger, incoming.tasks)
    store = store_of(path)
    fresh, waiting = _waiting(store, ledger, fresh, bool(wish.data), mended)
    learned = stored_stream(path, ledger, store)
    # Of the data as given, so that it is recognised again whatever is left out below.
    prints = [content_fingerprint(task) for task in fresh]
    fresh, notes = without_leaks(fresh, [*learned, *(task for _, task in waiting)], settings.stream.leaks)
    per_task = ledger.per_task if wish.per_task is None else wish.per_task
    entries = [_taken_up(path, ledger, entry, wish) for entry, _ in waiting]
    for task, content in zip(fresh, prints, strict=True):
        key = f"{ledger.next_key + len(entries) - len(waiting):06d}"
        entries.append(_entry(key, task, content, wish, per_task))
    tasks = [*(task for _, task in waiting), *fresh]
    proposed, plans = [], []
    stream = learned
    for entry, task in zip(entries, tasks, strict=True):
        parts = Parts.of(settings_of(path, entry.settings), progress)
        stream = Stream((*stream.tasks, task), "workspace")
        one, plan = _proposed(path, ledger, parts, store, stream, entry)
        proposed.append(one)
        plans.append(plan)
    proposal = Proposal(
        tuple(proposed),
        tuple(entry.name for entry in known),
        tuple(entry.name for entry, _ in waiting),
        (*incoming.findings, *_told(ledger, incoming, known), *notes),
    )
    return _Prepared(store, learned, proposal, entries, tasks, plans, incoming)


def _proposed(
    path: Path, ledger: Ledger, parts: Parts, store: MemoryStore, stream: Stream, entry: LearnedTask
) -> tuple[ProposedTask, Planned]:
    stage, task = len(stream), stream.tasks[-1]
    parts.check()
    if uses_losses(parts.config):
        load_last(parts.taught, path, parts.config, ledger)
    started = time.monotonic()
    plan = plan_stage(parts, stream, stage, replayable(store, stream))
    seconds = time.monotonic() - started
    asked = sum(len(one.test) if entry.per_task is None else min(len(one.test), entry.per_task) for one in stream)
    cost = estimate(parts, task, plan, asked, ledger.tasks, waits(parts, stream, stage))
    return ProposedTask(task.name, stage, len(task.train), len(task.test), plan, cost), (plan, seconds)


def _waiting(
    store: MemoryStore, ledger: Ledger, fresh: list[Task], given: bool, mended: bool
) -> tuple[list[Task], list[tuple[LearnedTask, Task]]]:
    """Tasks of an interrupted command come first; data given now must be theirs."""
    waiting = [(entry, store.task(entry.key)) for entry in ledger.pending]
    prints = {entry.fingerprint for entry in ledger.pending}
    new = [task for task in fresh if content_fingerprint(task) not in prints]
    if waiting and given and len(new) == len(fresh):
        names = ", ".join(entry.name for entry in ledger.pending)
        raise UserError(
            f"learning {names} was begun and not finished: finish it with `inscl learn` without data, or give it up "
            f"with `inscl rollback {len(ledger.tasks)}`"
        )
    if not waiting and not given and not mended:
        raise UserError("nothing to go on with: give the data to learn, a file or a folder")
    return new, waiting


def _taken_up(path: Path, ledger: Ledger, entry: LearnedTask, wish: Wish) -> LearnedTask:
    """A waiting task with the settings given now, which may differ in nothing that decides a result."""
    now, then = settings_of(path, wish.settings), settings_of(path, entry.settings)
    same = deciding_settings(now) == deciding_settings(then)
    if (wish.settings and not same) or wish.per_task not in (None, entry.per_task):
        begun = ", ".join(entry.settings) or "those of the workspace"
        raise UserError(
            f"learning {entry.name} was begun with other settings ({begun}): finish it with `inscl learn` without any, "
            f"or give it up with `inscl rollback {len(ledger.tasks)}` and learn it with these"
        )
    return entry.model_copy(update={"settings": wish.settings}) if wish.settings else entry


def _begin(path: Path, ledger: Ledger, prepared: _Prepared) -> Ledger:
    """Keep the examples of what is about to be learned, and note that it is waiting."""
    former = {entry.key for entry in ledger.pending}
    new = [(e, t) for e, t in zip(prepared.entries, prepared.tasks, strict=True) if e.key not in former]
    for entry, task in new:
        prepared.store.add(entry.key, task, {}, {})
    if tuple(prepared.entries) == ledger.pending:
        return ledger
    if prepared.incoming.rejected and not former:
        # Before it counts: whoever goes on may do so without the data.
        record = _first(path, ledger, prepared.entries[0])
        record.begin()
        record.write_rows("rejected.jsonl", prepared.incoming.rejected)
    return ledger.changed(pending=tuple(prepared.entries), next_key=ledger.next_key + len(new)).write(path)


def _first(path: Path, ledger: Ledger, entry: LearnedTask) -> Record:
    """The record of the stage that is learned next."""
    return folder_of(path, settings_of(path), ledger, [entry.name]).stage(len(ledger.tasks) + 1)


def _entry(key: str, task: Task, content: str, wish: Wish, per_task: int | None) -> LearnedTask:
    return LearnedTask(
        key=key,
        name=task.name,
        fingerprint=content,
        train=len(task.train),
        test=len(task.test),
        instructions=len(task.instructions),
        max_new_tokens=task.max_new_tokens,
        settings=wish.settings,
        per_task=per_task,
    )


def _told(ledger: Ledger, incoming: Incoming, known: Sequence[LearnedTask]) -> list[str]:
    stages = {task.key: stage for stage, task in enumerate(ledger.tasks, start=1)}
    told = [f"{entry.name} was learned already, at stage {stages[entry.key]} ({entry.learned})" for entry in known]
    if incoming.rejected:
        told.append(f"{len(incoming.rejected)} rows were set aside; they stand in rejected.jsonl of the stage")
    return told


def _check_changes(before: RunConfig, after: RunConfig) -> None:
    """What may not differ from stage to stage."""
    fixed = {
        "model": ("name", "adapter", "prompt"),
        "evaluation": ("metrics",),
        "training": ("learner",),
        "stream": ("path",),
    }
    problems = [
        Problem(f"{part}.{key}", "is the workspace's; it can't change from stage to stage")
        for part, keys in fixed.items()
        for key in keys
        if getattr(getattr(before, part), key) != getattr(getattr(after, part), key)
    ]
    if before.seed != after.seed:
        problems.append(Problem("seed", "is the workspace's; it can't change from stage to stage"))
    if problems:
        raise ConfigError(problems, "learn")


def _budget(given: BudgetWish) -> str:
    """A budget as the rest of an override, as in ``per_task=200``."""
    if isinstance(given, Mapping):
        kinds = list(given.items())
    else:
        name, equals, value = str(given).partition("=")
        kinds = [(name, value)] if equals else [("per_task", name)]  # type: ignore[list-item]
    if len(kinds) != 1:
        raise ConfigError([Problem("--budget", "one kind was expected, as in 200, total=500, share=0.5, tokens=20000")])
    ((kind, amount),) = kinds
    return f"{kind}={amount}"
