"""Brings a learner to the state after a recorded stage: loads it, or teaches it the recorded plans again."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import cast

from inscl.contract.seams import Learner, Persistent
from inscl.contract.traits import LearnerTraits, traits_of
from inscl.engine.open_run import OpenRun
from inscl.engine.plan import recorded_plan
from inscl.errors import ConfigError

__all__ = ["load_stage", "resume", "state_of"]


def load_stage(learner: Learner, opened: OpenRun, stage: int) -> None:
    """Bring a learner that has learned nothing to the state after `stage`.

    Stage 0 is the model as it came, and so is a stage at which nothing was trained yet.

    Raises:
        ConfigError: The stage's weights were not kept.
        WorkspaceError: They are damaged.
    """
    if not traits_of(learner, LearnerTraits).saves:
        taught = stage and opened.folder.stage(stage).has("learn.json")
        _follow_plans(learner, opened, range(1, stage + 1) if taught else ())
        return
    if (state := state_of(opened, stage)) is not None:
        cast(Persistent, learner).load(state)


def state_of(opened: OpenRun, stage: int) -> Path | None:
    """The folder with what a learner that saves had learned after `stage`; None for the model as it came.

    Raises:
        ConfigError: The stage's weights were not kept.
        WorkspaceError: They are damaged.
    """
    if not stage or not opened.folder.stage(stage).has("learn.json"):
        return None
    record = opened.folder.stage(stage)
    if not record.keeps_model:
        raise ConfigError(f"the weights of stage {stage} were not kept; run with model.keep=all to keep them")
    record.check("model")
    return record.model


def resume(learner: Learner, opened: OpenRun, stage: int) -> None:
    """The same for a run that goes on: weights that weren't kept are made again, from the plans."""
    folder = opened.folder
    kept = next((number for number in range(stage, 0, -1) if folder.stage(number).keeps_model), 0)
    if kept == stage or not folder.stage(stage).has("learn.json") or not traits_of(learner, LearnerTraits).saves:
        load_stage(learner, opened, stage)
        return
    opened.progress.note(f"the weights of stage {stage} weren't kept: it is learned again, from the plans")
    load_stage(learner, opened, kept)
    _follow_plans(learner, opened, range(kept + 1, stage + 1))


def _follow_plans(learner: Learner, opened: OpenRun, stages: Iterable[int]) -> None:
    """Teach the recorded plans of stages: the same examples give the same state."""
    folder, tasks = opened.folder, opened.stream.tasks
    for number in stages:
        record = folder.stage(number)
        if record.has("learn.json"):
            learner.learn(tasks[number - 1], recorded_plan(record, opened.memory))
