"""A question to the model as it was after a stage."""

from __future__ import annotations

from pathlib import Path

from inscl.contract import Question
from inscl.contract.seams import Progress
from inscl.engine.parts import Parts
from inscl.engine.stage import load_stage
from inscl.errors import UserError
from inscl.storage.run.ledger import Ledger, stored_stream
from inscl.workspace.opening import folder_of, settings_of
from inscl.workspace.status import stage_number

__all__ = ["ask"]


def ask(
    path: Path, question: str, stage: int | None = None, longest: int | None = None, progress: Progress | None = None
) -> str:
    """The model's answer.

    Args:
        path: The workspace.
        question: Instruction, blank line, input; or an instruction alone.
        stage: After which stage; 0 is the base model, None the last.
        longest: Most tokens of the answer; None as configured.
        progress: Where to tell what the user should read.

    Raises:
        UserError: An empty question, or no such stage.
        ModelError: The model can't be loaded.
    """
    if not question.strip():
        raise UserError("the question is empty")
    if longest is not None and longest < 1:
        raise UserError(f"an answer of at least one token was expected, got {longest}")
    ledger, settings = Ledger.read(path), settings_of(path)
    number = stage_number(ledger, stage)
    learner = Parts.of(settings, progress).new_learner()
    folder = folder_of(path, settings, ledger)
    # Where the strategy had nothing trained yet, the model is still as it came.
    if number and (folder.stage(number).path / "learn.json").exists():
        load_stage(learner, folder, stored_stream(path, ledger), number)
    most = longest or settings.evaluation.longest_answer("default")
    return learner.answer([Question(question)], max_new_tokens=most)[0].text
