"""Finds which stages were trained on which examples, and which stages were built on those."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from inscl.config import kinds, wrapping
from inscl.config.settings import RunConfig
from inscl.contract.seams import Forgetting
from inscl.contract.traits import LearnerTraits, traits_of
from inscl.engine.open_run import OpenWorkspace
from inscl.storage.run.ledger import LearnedTask
from inscl.storage.run.stage_record import Record
from inscl.workspace.plain import Plain

__all__ = ["StageFolder", "TrainedStage", "stage_folders", "trained_on"]


@dataclass(frozen=True)
class TrainedStage(Plain):
    """A stage whose model has seen what was erased.

    Attributes:
        stage: Its number.
        task: What it learned.
        discarded: The folder of discarded stages it stands in; None for one that counts.
        how: ``learned``, ``replayed``, or ``built on`` a stage that did either.
        examples: How many of the erased examples it was trained on itself.
    """

    stage: int
    task: str
    discarded: int | None
    how: str
    examples: int


@dataclass(frozen=True)
class StageFolder:
    """A recorded stage.

    Attributes:
        record: Its folder.
        key: Of the task it learned; empty for the base model.
        group: The number of the discarded stages it belongs to; None for one that counts.
        forget: Takes examples out of its learner's state; None where the state holds none.
        forgets_in: The files that it changes; empty where that may be any.
        trains: Whether what the stage learned is in weights, which no example can be taken out of.
    """

    record: Record
    key: str
    group: int | None
    forget: Callable[..., None] | None = None
    forgets_in: tuple[str, ...] = ()
    trains: bool = True


def stage_folders(opened: OpenWorkspace) -> list[StageFolder]:
    """Every recorded stage, the base model's first, discarded ones last."""
    folder, ledger = opened.folder, opened.ledger
    found = [StageFolder(folder.stage(0), "", None)]
    for n, task in enumerate(ledger.tasks, start=1):
        found.append(_folder(opened, folder.stage(n), task, None))
    for group in ledger.discarded:
        for number, task in enumerate(group.tasks, start=group.first):
            record = opened.discarded_record(group.number, number, task)
            found.append(_folder(opened, record, task, group.number))
    return [one for one in found if one.record.path.exists()]


def _folder(opened: OpenWorkspace, record: Record, task: LearnedTask, group: int | None) -> StageFolder:
    """A stage, with how its learner takes examples out of its state, where it keeps them there."""
    training = opened.settings_with(task.settings).training
    learner = kinds.load("learners", wrapping.unwrapped(training.learner, training.params))
    traits = traits_of(learner, LearnerTraits)
    if not traits.forgets:
        return StageFolder(record, task.key, group)
    forget = cast(type[Forgetting], learner).forget
    return StageFolder(record, task.key, group, forget, traits.forgets_in, traits.trains)


def trained_on(
    folders: Sequence[StageFolder],
    settings: RunConfig,
    learned: Mapping[str, int],
    replayed: Callable[[Record], int],
) -> tuple[TrainedStage, ...]:
    """The stages whose weights have seen some examples.

    Args:
        folders: All recorded stages.
        settings: Say whether a stage goes on with the weights of the one before.
        learned: Key of a task -> how many of the examples are train examples of it.
        replayed: How many of the examples a stage replayed.
    """
    direct: dict[tuple[int | None, int], tuple[str, int]] = {}
    for one in folders:
        own, again = learned.get(one.key, 0), replayed(one.record)
        if own or again:
            direct[one.group, one.record.stage] = ("learned" if own else "replayed", own + again)
    continues = settings.model.adapter_mode != "fresh"
    found = []
    for one in folders:
        if not one.trains or not one.record.model.exists():
            continue
        how, count = direct.get((one.group, one.record.stage), ("", 0))
        # A discarded stage was built on stages with smaller numbers, of which some may have been discarded before it.
        before = any(stage < one.record.stage for group, stage in direct if group is None or one.group is not None)
        if not how and continues and before:
            how = "built on"
        if how:
            found.append(TrainedStage(one.record.stage, one.record.task, one.group, how, count))
    return tuple(found)
