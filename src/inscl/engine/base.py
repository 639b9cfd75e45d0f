"""Scores the base model: row 0 of the score matrix, and the reference for held-out tasks."""

from __future__ import annotations

from inscl.engine.open_run import OpenRun
from inscl.engine.stage import evaluate_tasks
from inscl.storage.run.shared_scores import SharedScores

__all__ = ["evaluate_base"]


def evaluate_base(opened: OpenRun, known: SharedScores) -> None:
    """Score the model as it came, once for all runs that share scores: on every task, or on those held out alone.

    Args:
        opened: The run.
        known: Scores that runs share.
    """
    parts, stream, record = opened.parts, opened.stream, opened.folder.stage(0)
    asked = stream.scored if opened.settings.evaluation.base else stream.held_out
    # A row that was asked for without `evaluation.base` lacks the tasks that are learned.
    before = record.scores() if record.done else {}
    missing = not record.done or any(task.test and task.name not in before for task in asked)
    # One run scores the whole row. Others that need it wait and then read the shared scores.
    with known.claimed("base", min(asked, key=lambda task: task.name), wait=missing):
        if missing:
            if not record.done:
                record.begin()
            parts.progress.stage(0, len(stream), "base model")
            found = {task.name: scores for task in asked if (scores := known.get("base", task)) is not None}
            progress = record.progress([*parts.identity, "base"])
            with parts.scored(parts.new_learner, None) as scored:
                evaluate_tasks(scored, parts, asked, record, progress, kept={**found, **before})
            record.finish()
        record.clear_progress()
        # After the stage counts: what is shared before would be taken for another run's by one that resumes.
        for task in asked:
            known.put("base", task, record.scores().get(task.name))
        opened.summarise()
