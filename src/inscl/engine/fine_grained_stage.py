"""How well the model of a recorded stage tells instructions apart that differ in one demand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from inscl.contract.seams import Progress
from inscl.data import load_stream
from inscl.engine.open_run import open_run
from inscl.engine.resume import load_stage
from inscl.evaluation.fine_grained import FineGrained, Judge, fine_grained, pairs_of

__all__ = ["fine_grained_stage"]


def fine_grained_stage(
    path: Path,
    data: str | Path,
    stage: int | None = None,
    make_judge: Callable[[], Judge] | None = None,
    ask: bool = False,
    progress: Progress | None = None,
) -> FineGrained:
    """Measure a stage on the pairs in refined data; nothing is written in the run.

    Args:
        path: A run folder or a workspace.
        data: What ``inscl refine --with demorecon`` wrote.
        stage: Which stage's model; 0 is the base model, None the last recorded one.
        make_judge: Makes the judge, once everything else is known to be there; None measures by references.
        ask: As for `inscl.evaluation.fine_grained.fine_grained`.
        progress: Where to tell how far it is.

    Raises:
        UserError: No run there, no such stage, or no pairs in the data.
        DataError: The data can't be read.
        ConfigError: The stage's weights were not kept.
    """
    pairs = pairs_of(load_stream(data, leaks="allow"))
    opened = open_run(path, progress)
    number = opened.stage_number(stage)
    parts = opened.parts_of_stage(number)
    judge = make_judge() if make_judge else None
    learner = parts.new_learner()
    load_stage(learner, opened, number)
    return fine_grained(learner, pairs, parts.config.evaluation.longest_answer("default"), judge, ask)
