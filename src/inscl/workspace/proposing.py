"""Prepares ``inscl learn``: reads the data, recognises known data, plans, and estimates the cost."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from inscl.config import wrapping
from inscl.config.identity import deciding_settings
from inscl.config.settings import RunConfig
from inscl.contract import Stream, Task
from inscl.contract.described import keeps_examples
from inscl.contract.plan import PastStage, ReplayPlan
from inscl.contract.traits import StrategyTraits, traits_of
from inscl.engine.lengths import check_lengths
from inscl.engine.open_run import OpenWorkspace
from inscl.engine.parts import Parts
from inscl.engine.plan import made_of_tasks, plan_stage, waits, with_past
from inscl.engine.resume import load_stage
from inscl.engine.stage import Planned
from inscl.errors import ConfigError, Problem, UserError
from inscl.storage.run.ledger import LearnedTask, Ledger
from inscl.workspace.estimates import Estimate, estimate
from inscl.workspace.making import check_settings
from inscl.workspace.new_data import NewData, read_new_data, recognised, without_leaks
from inscl.workspace.request import LearnRequest
from inscl.workspace.stages import capped, replayable, uses_losses

__all__ = ["Prepared", "Proposal", "ProposedTask", "checked_settings", "prepare"]

_FIXED = "is the workspace's; it can't change from stage to stage"


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
        continued: Tasks that an interrupted command had begun.
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
class Prepared:
    """What is about to be learned.

    Attributes:
        proposal: The same for the user to read.
        entries: The tasks as the ledger will have them: those that wait already, then the new ones.
        tasks: Their examples, in the same order.
        plans: Their plans, in the same order.
        data: What was read.
    """

    proposal: Proposal
    entries: Sequence[LearnedTask]
    tasks: Sequence[Task]
    plans: Sequence[Planned]
    data: NewData


def prepare(opened: OpenWorkspace, request: LearnRequest, mended: bool = False) -> Prepared:
    """Read, recognise, compare, plan; nothing is written but caches of embeddings and tags.

    Args:
        opened: The workspace.
        request: What to learn and how.
        mended: Whether the command has done something already, so that it needs no data.

    Raises:
        ConfigError: A setting is wrong, or may not differ from stage to stage.
        DataError: The data can't be read, a name is taken, test and train examples overlap, or an answer is longer
            than the learner takes.
        UserError: There is nothing to learn, or other data was begun with.
    """
    ledger, settings = opened.ledger, checked_settings(opened, request)
    data = read_new_data(settings, request.data, request.name)
    fresh, known = recognised(ledger, data.tasks)
    fresh, waiting = _waiting(opened, fresh, bool(request.data), mended)
    learned = opened.stream
    # Of the data as given, so that it is recognised again whatever is left out below.
    prints = [task.content_fingerprint for task in fresh]
    fresh, notes = without_leaks(fresh, [*learned, *(task for _, task in waiting)], settings.stream.leaks)
    entries = [_taken_up(opened, entry, request) for entry, _ in waiting]
    for number, (task, content) in enumerate(zip(fresh, prints, strict=True), start=ledger.next_key):
        entries.append(_entry(f"{number:06d}", task, content, request, ledger.per_task))
    tasks = [*(task for _, task in waiting), *fresh]
    if settings.evaluation.max_new_tokens != opened.settings.evaluation.max_new_tokens:
        settings.evaluation.check_tasks([*learned.names, *(task.name for task in tasks)])
    proposed: list[ProposedTask] = []
    plans: list[Planned] = []
    stream = learned
    for entry, task in zip(entries, tasks, strict=True):
        stream = Stream((*stream.tasks, task), "workspace")
        one, plan = _proposed(opened, stream, entry, [PastStage(planned.plan) for planned in plans])
        proposed.append(one)
        plans.append(plan)
    proposal = Proposal(
        tuple(proposed),
        tuple(entry.name for entry in known),
        tuple(entry.name for entry, _ in waiting),
        (*data.findings, *_told(ledger, data, known), *notes),
    )
    return Prepared(proposal, entries, tasks, plans, data)


def checked_settings(opened: OpenWorkspace, request: LearnRequest) -> RunConfig:
    """The settings of the stages to come.

    Raises:
        ConfigError: A setting is wrong, is for runs alone, or may not differ from stage to stage.
    """
    settings = opened.settings_with(request.settings)
    _check_changes(opened.settings, settings)
    check_settings(settings, request.per_task, "learn", opened.ledger.keep)
    return settings


def _proposed(
    opened: OpenWorkspace, stream: Stream, entry: LearnedTask, before: Sequence[PastStage]
) -> tuple[ProposedTask, Planned]:
    """What a stage will be, and its plan; `before` are the stages planned and not learned yet."""
    stage, task = len(stream), stream.tasks[-1]
    parts = Parts.of(opened.settings_with(entry.settings), opened.progress)
    parts.check()
    parts.check_pictures([task])
    planned = _recorded(opened, stage, task) or _planned(opened, stream, parts, before)
    plan = planned.plan
    # Like a run, before hours of training: what is learned, and the test answers whose likelihoods are asked.
    lengthy = replace(capped(task, entry.per_task), train=(*task.train, *plan.examples))
    check_lengths(parts, Stream((lengthy,), "workspace"))
    asked = sum(len(one.test) if entry.per_task is None else min(len(one.test), entry.per_task) for one in stream)
    cost = estimate(parts, task, plan, asked, opened.ledger.tasks, waits(parts, stream, stage))
    return ProposedTask(task.name, stage, len(task.train), len(task.test), plan, cost), planned


def _recorded(opened: OpenWorkspace, stage: int, task: Task) -> Planned | None:
    """The plan of a stage that was learned by a command that was killed before it could make it count."""
    record = opened.next_record(task.name)
    if stage != opened.last_stage + 1 or not record.done:
        return None
    return Planned(ReplayPlan.from_json(record.read("plan.json"), record.rows("replay.jsonl")), 0.0)


def _planned(opened: OpenWorkspace, stream: Stream, parts: Parts, before: Sequence[PastStage]) -> Planned:
    """The plan of the last task of `stream`."""
    if uses_losses(parts.config):
        load_stage(parts.taught, opened, opened.last_stage)
    started = time.monotonic()
    memory = with_past(
        replayable(opened.memory, stream), parts, map(opened.folder.stage, range(1, opened.last_stage + 1))
    )
    if traits_of(parts.strategy, StrategyTraits).remembers:
        memory = replace(memory, past=(*memory.past, *before))
    plan = plan_stage(parts, stream, len(stream), memory)
    return Planned(plan, time.monotonic() - started, made_of_tasks(parts.strategy))


def _waiting(
    opened: OpenWorkspace, fresh: list[Task], given: bool, mended: bool
) -> tuple[list[Task], list[tuple[LearnedTask, Task]]]:
    """Tasks of an interrupted command come first; data given now must be theirs."""
    ledger = opened.ledger
    waiting = [(entry, opened.memory.task(entry.key)) for entry in ledger.pending]
    for entry, task in waiting[:1]:
        if entry.train and not keeps_examples(task) and not opened.next_record(entry.name).done:
            raise UserError(
                f"the train examples of {entry.name} were let go, and its stage isn't recorded whole: give it up with "
                f"`inscl rollback {len(ledger.tasks)}`, and learn it again"
            )
    prints = {entry.fingerprint for entry in ledger.pending}
    new = [task for task in fresh if task.content_fingerprint not in prints]
    if waiting and given and len(new) == len(fresh):
        names = ", ".join(entry.name for entry in ledger.pending)
        raise UserError(
            f"learning {names} was begun and not finished: finish it with `inscl learn` without data, or give it up "
            f"with `inscl rollback {len(ledger.tasks)}`"
        )
    if not waiting and not given and not mended:
        raise UserError("nothing to resume: give the data to learn, a file or a folder")
    return new, waiting


def _taken_up(opened: OpenWorkspace, entry: LearnedTask, request: LearnRequest) -> LearnedTask:
    """A waiting task with the settings given now, which may differ in nothing that decides a result."""
    now, then = opened.settings_with(request.settings), opened.settings_with(entry.settings)
    same = deciding_settings(now) == deciding_settings(then)
    if (request.settings and not same) or request.per_task not in (None, entry.per_task):
        begun = ", ".join(entry.settings) or "those of the workspace"
        raise UserError(
            f"learning {entry.name} was begun with other settings ({begun}): finish it with `inscl learn` without any, "
            f"or give it up with `inscl rollback {opened.last_stage}` and learn it with these"
        )
    return entry.model_copy(update={"settings": request.settings}) if request.settings else entry


def _entry(key: str, task: Task, content: str, request: LearnRequest, per_task: int | None) -> LearnedTask:
    return LearnedTask(
        key=key,
        name=task.name,
        fingerprint=content,
        train=len(task.train),
        test=len(task.test),
        instructions=len(task.instructions),
        max_new_tokens=task.max_new_tokens,
        settings=request.settings,
        per_task=per_task if request.per_task is None else request.per_task,
    )


def _told(ledger: Ledger, data: NewData, known: Sequence[LearnedTask]) -> list[str]:
    stages = {task.key: stage for stage, task in enumerate(ledger.tasks, start=1)}
    told = [f"{entry.name} was learned already, at stage {stages[entry.key]} ({entry.learned})" for entry in known]
    if data.rejected:
        where = "they stand in rejected.jsonl of the stage" if ledger.keep == "examples" else "they aren't kept"
        told.append(f"{len(data.rejected)} rows were set aside; {where}")
    if ledger.keep != "examples" and data.tasks and ledger.tasks:
        told.append("train examples of earlier tasks weren't kept: nobody compared them with the new test examples")
    return told


def _check_changes(before: RunConfig, after: RunConfig) -> None:
    """What may not differ from stage to stage."""
    fixed = {
        "model": ("name", "adapter", "prompt", "keep"),  # the last: a stage must not delete what earlier ones kept
        "evaluation": ("metrics",),
        "training": ("learner",),
        "stream": ("path",),
    }
    problems = [
        Problem(f"{part}.{key}", _FIXED)
        for part, keys in fixed.items()
        for key in keys
        if getattr(getattr(before, part), key) != getattr(getattr(after, part), key)
    ]
    if before.seed != after.seed:
        problems.append(Problem("seed", _FIXED))
    inside = [wrapping.unwrapped(one.training.learner, one.training.params) for one in (before, after)]
    if before.training.learner == after.training.learner and inside[0] != inside[1]:
        problems.append(Problem("training.params.learner", _FIXED))
    if problems:
        raise ConfigError(problems, "learn")
