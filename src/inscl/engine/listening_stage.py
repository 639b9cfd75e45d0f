"""Asks the model of a recorded stage whether it heeds the key parts of instructions, and records it for the report."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from inscl.contract.seams import Progress, Tagger
from inscl.engine.open_run import open_held
from inscl.engine.resume import load_stage
from inscl.errors import UserError
from inscl.evaluation.listening import chosen, key_parts_of, listening
from inscl.storage.run.finished_run import LISTENING
from inscl.storage.run.formats import Heard

__all__ = ["listening_stage"]


def listening_stage(
    path: Path,
    stage: int | None = None,
    examples: int = 8,
    make_finder: Callable[[], Tagger] | None = None,
    progress: Progress | None = None,
) -> list[Heard]:
    """Ask some test questions of each learned task with their key part changed; kept as its ``listening.jsonl``.

    Args:
        path: A run folder or a workspace.
        stage: Which stage's model; 0 is the base model, None the last recorded one.
        examples: Most test questions of a task, a fixed sample.
        make_finder: Makes who names the key parts of instructions, once everything else is known to be there; None asks
            nobody.
        progress: Where to tell how far it is.

    Returns:
        A row for each question whose instruction has a key part.

    Raises:
        UserError: No run there, no such stage, or no instruction with a key part.
        ConfigError: The stage's weights were not kept.
        WorkspaceError: A file of the run is damaged.
    """
    with open_held(path, progress) as opened:
        number = opened.stage_number(stage)
        record, parts = opened.folder.stage(number), opened.parts_of_stage(number)
        tasks = (*(opened.stream.tasks[:number] if number else opened.stream.tasks), *opened.stream.held_out)
        asked = {task.name: chosen(task, examples) for task in tasks if task.test}
        finder = make_finder() if make_finder else None
        learner = parts.new_learner()
        load_stage(learner, opened, number)
        known = key_parts_of(learner, [one for own in asked.values() for one in own], finder)
        longest = parts.config.evaluation.longest_answer
        limits = {task.name: task.max_new_tokens or longest(task.name) for task in tasks if task.test}
        found = listening(learner, limits, asked, known)
        if not found:
            raise UserError("no instruction of these tasks has a key part: there is nothing to change in a question")
        opened.change_records()
        if not number and not record.done:
            record.begin()
        record.write_rows(LISTENING, [one.model_dump() for one in found])
        record.finish()
        opened.summarise()
        return found
