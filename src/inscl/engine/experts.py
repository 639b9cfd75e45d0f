"""Trains each task alone: the experts' scores S of Relative Gain."""

from __future__ import annotations

import time

from inscl.contract import Task
from inscl.contract.plan import ReplayPlan
from inscl.engine.open_run import OpenRun
from inscl.engine.stage import evaluate_tasks, learn, predictions_file
from inscl.storage.run.shared_scores import SharedScores
from inscl.storage.run.stage_record import Record

__all__ = ["teach_experts"]


def teach_experts(opened: OpenRun, known: SharedScores) -> None:
    """Train and score each task alone: those that are learned, and those held out that have train rows.

    The first task's expert is stage 1 itself: nothing was learned before it, and the seed is the same. An expert that
    another run is making, which shares its scores, comes last and is taken over.

    Args:
        opened: The run.
        known: Scores that runs share.
    """
    numbers = {task.name: number for number, task in enumerate(opened.stream.scored, start=1)}
    left = [(numbers[task.name], task) for task in (*opened.stream, *opened.stream.for_experts)]
    while left:
        before = len(left)
        for number, task in tuple(left):
            record = opened.folder.expert(number)
            with known.claimed("expert", task) as ours:
                if not (ours or record.done):
                    continue
                if not record.done:
                    _teach_expert(opened, known, record, task)
                    record.finish()
                    opened.summarise()
                record.clear_progress()  # of an expert that was interrupted at its very end
                # What others made already stays; and what an interruption kept from being shared is shared now.
                known.put("expert", task, record.scores().get(task.name))
            left.remove((number, task))
        if len(left) == before:
            time.sleep(1)


def _teach_expert(opened: OpenRun, known: SharedScores, record: Record, task: Task) -> None:
    number, first = record.stage, opened.folder.stage(1)
    record.begin()
    if (found := known.get("expert", task)) is not None:
        record.write_scores({task.name: found})
    elif number == 1 and task.name in first.scores():
        record.write_rows(predictions_file(task.name), first.rows(predictions_file(task.name)))
        record.write_scores({task.name: first.scores()[task.name]})
    else:
        parts = opened.parts
        parts.progress.stage(number, len(opened.stream.scored), f"{task.name} (expert)")
        learner = parts.new_learner()
        progress = record.progress([*parts.identity, "expert", number, task.fingerprint])
        # Its weights are of no use once it is scored.
        state = progress.path / "model"
        learn(learner, task, ReplayPlan.nothing(task.name), record, progress, ["learn.json"], state)
        with parts.scored(lambda: learner, state) as scored:
            evaluate_tasks(scored, parts, [task], record, progress)
