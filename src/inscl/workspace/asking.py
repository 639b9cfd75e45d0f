"""``inscl ask``: asks the model of a stage a question."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from inscl.contract import Question
from inscl.data.pictures import read_picture
from inscl.engine.open_run import OpenRun
from inscl.engine.resume import load_stage
from inscl.errors import UserError

__all__ = ["ask"]


def ask(
    opened: OpenRun,
    question: str,
    stage: int | None = None,
    longest: int | None = None,
    pictures: Sequence[Path] = (),
) -> str:
    """The model's answer, with the settings that the stage was learned with.

    Args:
        opened: The workspace.
        question: Instruction, blank line, input; or an instruction alone.
        stage: After which stage; 0 is the base model, None the last.
        longest: Most tokens of the answer; None as configured.
        pictures: Files of pictures that it is about; a marker ``<image>`` for each may say where.

    Raises:
        DataError: A picture can't be read, or the learner or the model reads text alone.
        UserError: An empty question, or no such stage.
        ModelError: The model can't be loaded.
    """
    if not question.strip():
        raise UserError("the question is empty")
    if longest is not None and longest < 1:
        raise UserError(f"an answer of at least one token was expected, got {longest}")
    shown = tuple(map(read_picture, pictures))
    number = opened.stage_number(stage)
    parts = opened.parts_of_stage(number)
    learner = parts.new_learner()
    load_stage(learner, opened, number)
    most = longest or parts.config.evaluation.longest_answer("default")
    return learner.answer([Question(question, images=shown)], max_new_tokens=most)[0].text
