"""One stage of a run: plan, learn, evaluate, and everything of it on disk but the mark that makes it count."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

from inscl.config.identity import deciding_settings, plugins_of
from inscl.contract import Memory, Stream, Task
from inscl.contract.fingerprints import fingerprint
from inscl.contract.plan import ReplayPlan
from inscl.contract.seams import Learner, Persistent, Resumable
from inscl.contract.traits import LearnerTraits, traits_of
from inscl.engine.parts import Parts
from inscl.engine.plan import plan_stage, waits, write_plan
from inscl.errors import ConfigError, ModelError
from inscl.evaluation import evaluate_together
from inscl.storage.run.progress import StageProgress
from inscl.storage.run.run_folder import RunFolder
from inscl.storage.run.stage_record import Record

__all__ = ["evaluate_tasks", "follow_plans", "learn", "load_stage", "predictions_file", "teach_stage"]


def teach_stage(
    parts: Parts,
    learner: Learner,
    stream: Stream,
    record: Record,
    memory: Memory,
    asked: Sequence[Task],
    plan: ReplayPlan | None = None,
) -> None:
    """Plan, learn, save and evaluate one stage, and write its records: all but the mark that makes it count.

    Args:
        parts: Strategy, budget, scorers.
        learner: As it is after the stage before.
        stream: The stage's task and those before it.
        record: The stage's folder, begun.
        memory: What may be replayed.
        asked: Tasks to be scored on.
        plan: The stage's plan, where it was made already.
    """
    stage, task = record.stage, stream.tasks[record.stage - 1]
    parts.progress.stage(stage, len(stream), task.name)
    clock = _Clock()

    plan = plan or plan_stage(parts, stream, stage, memory)
    write_plan(record, plan)
    clock.lap("plan")

    if not waits(parts, stream, stage):
        decides = [stage, fingerprint(task), plan.to_json(), [pick.to_json() for pick in plan.picks]]
        progress = record.progress([deciding_settings(parts.config), plugins_of(parts.config), *decides])
        seconds = learn(learner, task, plan, record, progress)
        clock.lap("train", seconds)

        evaluate_tasks(learner, parts, asked, record, progress)
        clock.lap("evaluate")

    record.write("seconds.json", clock.laps)


def learn(
    learner: Learner,
    task: Task,
    plan: ReplayPlan,
    record: Record,
    progress: StageProgress,
    files: Sequence[str] = ("learn.json", "train_log.jsonl"),
    model: Path | None = None,
) -> float:
    """Teach a stage, or take up what an interrupted attempt taught; returns the seconds that it took.

    Args:
        learner: As it is after the stage before.
        task: What is new.
        plan: What is rehearsed.
        record: The stage's folder.
        progress: What is finished of the stage.
        files: Which records to write of ``learn.json`` and ``train_log.jsonl``.
        model: Where the learner's state goes. Default: the stage's ``model``.
    """
    model, traits = model or record.model, traits_of(learner, LearnerTraits)
    if (learned := progress.learned) is not None and traits.saves:
        cast(Persistent, learner).load(model)
        return float(learned["seconds"])
    with _keeping(learner, progress):
        report = learner.learn(task, plan)
    record.write("learn.json", asdict(report))
    if "train_log.jsonl" in files:
        record.write_rows("train_log.jsonl", cast(Any, learner).log if traits.logs else [])
    if traits.saves:
        shutil.rmtree(model, ignore_errors=True)  # of an attempt that was interrupted while it saved
        model.mkdir(parents=True)
        cast(Persistent, learner).save(model)
        progress.keep_learned([*files, model.relative_to(record.path).as_posix()], report.seconds)
    return report.seconds


@contextmanager
def _keeping(learner: Learner, progress: StageProgress) -> Iterator[None]:
    """Have the learner keep what it finishes while the block runs, if it can.

    Raises:
        ModelError: There isn't memory enough.
    """
    resumable = cast(Resumable, learner) if traits_of(learner, LearnerTraits).resumes else None
    if resumable:
        resumable.progress_dir = progress.path
    try:
        yield
    except MemoryError as error:
        raise ModelError(
            "out of memory: free memory or lower evaluation.batch_size; then give the same command again, which goes "
            "on from what is finished; a lower training.batch_size changes the result, so it begins anew: in another "
            "folder, or in a workspace after `inscl rollback`"
        ) from error
    finally:
        if resumable:
            resumable.progress_dir = None


def evaluate_tasks(
    learner: Learner,
    parts: Parts,
    tasks: Iterable[Task],
    record: Record,
    progress: StageProgress,
    kept: Mapping[str, Any] | None = None,
) -> None:
    """Ask every test prompt of `tasks` but of those in `kept`, and write predictions and all scores."""
    scores = dict(kept or {})
    asked = [task for task in tasks if task.name not in scores and task.test]
    longest = parts.config.evaluation.longest_answer
    with _keeping(learner, progress):
        results = evaluate_together(learner, asked, parts.scorers, longest, parts.progress, progress.answers)
    for result in results:
        record.write_rows(predictions_file(result.task), result.predictions)
        scores[result.task] = result.to_json()
    record.write_scores(scores)


def load_stage(learner: Learner, folder: RunFolder, stream: Stream, stage: int) -> None:
    """Bring a learner to the state after `stage`: from its saved state, or by teaching it the recorded plans again.

    Raises:
        ConfigError: The stage's weights were not kept.
        WorkspaceError: They are damaged.
    """
    record = folder.stage(stage)
    if traits_of(learner, LearnerTraits).saves:
        if not record.keeps_model:
            raise ConfigError(f"the weights of stage {stage} were not kept; run with model.keep=all to keep them")
        record.check("model")
        cast(Persistent, learner).load(record.model)
    else:
        follow_plans(learner, folder, stream, range(1, stage + 1))


def follow_plans(learner: Learner, folder: RunFolder, stream: Stream, stages: Iterable[int]) -> None:
    """Teach the recorded plans of stages once more: the same examples give the same state."""
    for number in stages:
        record = folder.stage(number)
        if record.has("learn.json"):
            plan = ReplayPlan.from_json(record.read("plan.json"), record.rows("replay.jsonl"))
            learner.learn(stream.tasks[number - 1], plan)


def predictions_file(task: str) -> str:
    """Where a stage's answers on a task stand in its folder."""
    return f"predictions/{task}.jsonl"


class _Clock:
    """Seconds between laps."""

    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self._last = time.monotonic()

    def lap(self, name: str, least: float = 0.0) -> None:
        """Note the seconds since the last lap; `least`, if an interrupted attempt took some of them."""
        moment = time.monotonic()
        self.laps[name] = round(max(moment - self._last, least), 3)
        self._last = moment
