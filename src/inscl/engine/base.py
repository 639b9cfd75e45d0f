"""The base model scored on every task: row 0 of the score matrix."""

from __future__ import annotations

from inscl.engine.open_run import OpenRun
from inscl.engine.stage import evaluate_tasks
from inscl.storage.run.shared_scores import SharedScores

__all__ = ["evaluate_base"]


def evaluate_base(opened: OpenRun, known: SharedScores) -> None:
    """Score the model as it came, once for all runs that share scores.

    Args:
        opened: The run.
        known: Scores that runs share.
    """
    parts, stream, record = opened.parts, opened.stream, opened.folder.stage(0)
    # The row is asked as one: whoever else needs it waits, and takes it over.
    with known.claimed("base", min(stream, key=lambda task: task.name), wait=not record.done):
        if not record.done:
            record.begin()
            parts.progress.stage(0, len(stream), "base model")
            found = {task.name: scores for task in stream if (scores := known.get("base", task)) is not None}
            progress = record.progress([*parts.identity, "base"])
            evaluate_tasks(parts.new_learner(), parts, stream, record, progress, kept=found)
            record.finish()
        record.clear_progress()
        # After the stage counts: what is shared before would be taken for another run's by one that resumes.
        for task in stream:
            known.put("base", task, record.scores().get(task.name))
        opened.summarise()
