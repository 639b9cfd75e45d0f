"""Scores a recorded stage on further tasks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from inscl.contract import Task
from inscl.contract.seams import Learner, Progress
from inscl.engine.open_run import open_held
from inscl.engine.overview import Run
from inscl.engine.resume import load_stage, state_of
from inscl.engine.stage import evaluate_tasks
from inscl.errors import ConfigError, Problem, nearest

__all__ = ["evaluate_stage"]


def evaluate_stage(
    path: Path, stage: int | None = None, tasks: Sequence[str] = (), progress: Progress | None = None
) -> Run:
    """Score a recorded stage, with the settings that it was learned with, and enter the scores in the run's records.

    Args:
        path: A run folder or a workspace.
        stage: Which stage's model; 0 is the base model, None the last recorded one.
        tasks: Task names; none means all of the stream, those that are held out among them.
        progress: Where to tell how far it is.

    Raises:
        UserError: No run there, no such stage or task.
        ConfigError: The stage's weights were not kept.
        WorkspaceError: A file of the run is damaged.
    """
    with open_held(path, progress) as opened:
        number = opened.stage_number(stage)
        wanted = _named(opened.stream.scored, tasks)
        opened.change_records()
        record = opened.folder.stage(number)
        parts = opened.parts_of_stage(number)

        def learner() -> Learner:
            made = parts.new_learner()
            load_stage(made, opened, number)
            return made

        state = state_of(opened, number) if parts.endpoint else None
        if not number and not record.done:
            record.begin()
        finished = record.progress([*parts.identity, "evaluate", number])
        with parts.scored(learner, state) as scored:
            evaluate_tasks(scored, parts, wanted, record, finished, kept=record.scores())
        record.finish()
        return opened.summarise()


def _named(scored: Sequence[Task], names: Sequence[str]) -> list[Task]:
    """The tasks of these names; all of them if none is given."""
    known = [task.name for task in scored]
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ConfigError([Problem("task", f"no task {name!r}{nearest(name, known)}") for name in unknown])
    return [task for task in scored if not names or task.name in names]
