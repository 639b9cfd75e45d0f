"""The method, top to bottom: for every new task plan the replay, learn, evaluate, record."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from inscl.config.loading import load_config
from inscl.config.settings import RunConfig
from inscl.contract.seams import Progress
from inscl.engine.base import evaluate_base
from inscl.engine.experts import teach_experts
from inscl.engine.open_run import OpenRun, open_run, start_run
from inscl.engine.overview import Run
from inscl.engine.run_stages import RunStages
from inscl.engine.stage import Stage
from inscl.errors import DivergedError, ModelError
from inscl.storage.run.shared_scores import SharedScores

__all__ = ["Run", "Stages", "learn_run", "learn_stages", "run"]


def run(
    config: RunConfig | Mapping[str, Any] | str | Path,
    *,
    overrides: Sequence[str] = (),
    progress: Progress | None = None,
    shared: Path | None = None,
    beside: Path | None = None,
) -> Run:
    """Teach a model a stream of tasks and record what it kept. An interrupted run goes on where it was.

    Args:
        config: A YAML file, its content as a mapping, or a `RunConfig`.
        overrides: Changes as in ``replay.strategy=random``.
        progress: Where to tell how far it is.
        shared: Folder in which runs share the scores of experts and of the base model; None shares nothing.
        beside: A run that differs in its replay alone; its first stage, when there is nothing to replay, is copied.

    Raises:
        ConfigError: The configuration has mistakes; all are listed. Or `beside` holds no run.
        DataError: The stream can't be read.
        WorkspaceError: The output folder holds another run, is in use, or can't be written.
        ModelError: The model can't be loaded or trained.
    """
    settings = load_config(config, overrides)
    source = open_run(beside) if beside else None  # before anything is made, so that a wrong folder leaves nothing
    with start_run(settings, progress) as opened:
        return learn_run(opened, shared, source)


def learn_run(opened: OpenRun, shared: Path | None = None, beside: OpenRun | None = None) -> Run:
    """Learn what is left of an open run, with the base model's row and the experts that it asks for; see `run`.

    Raises:
        DivergedError: Training diverged. A run that shares scores has its experts all the same: it is compared with
            others.
        ModelError: The training of an expert diverged.
    """
    known = SharedScores(shared, opened.settings, opened.model)
    if opened.settings.evaluation.base or opened.stream.held_out:
        evaluate_base(opened, known)
    diverged: DivergedError | None = None
    try:
        learn_stages(RunStages(opened, beside))
    except DivergedError as error:
        if shared is None:
            raise
        diverged = error
        opened.parts.progress.note(f"{error}; this run ends here, and only its experts are still trained")
    if opened.settings.evaluation.experts:
        try:
            teach_experts(opened, known)
        except DivergedError as error:
            raise ModelError(f"an expert can't be made: {error}") from error
    if diverged:
        opened.summarise()
        raise diverged
    return opened.summarise()


class Stages(Protocol):
    """What is still to be learned: by a run, the rest of its stream; by a workspace, the tasks that came to it."""

    def __iter__(self) -> Iterator[Stage]:
        """Each stage, its learner in the state after the stage before."""

    def remember(self, stage: Stage) -> None:
        """Keep what later stages may replay or need to know."""

    def count(self, stage: Stage) -> None:
        """Note that a stage is recorded."""


def learn_stages(stages: Stages) -> None:
    """Learn stage after stage (InsCL, section 3): the one loop of runs and workspaces."""
    for stage in stages:
        if not stage.record.done:
            stage.begin()
            plan = stage.plan()
            if not stage.waits:
                stage.learn(plan)
                stage.describe()
                stage.evaluate()
            stages.remember(stage)
            stage.finish()
        stages.count(stage)
