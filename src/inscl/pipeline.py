"""The method, top to bottom: for every new task plan the replay, learn, evaluate, record."""

from __future__ import annotations

import platform
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from inscl import metrics, models
from inscl.assembly import Parts
from inscl.config import RunConfig, load_config
from inscl.data import Example, Memory, Stream, Task
from inscl.data.fingerprints import fingerprint
from inscl.data.splits import sample
from inscl.errors import ConfigError, Problem, nearest
from inscl.evaluation import evaluate_together
from inscl.planning import plan_stage, stream_of, waits, write_plan
from inscl.protocols import Learner, Persistent, Progress
from inscl.workspace.atomic import write_json, write_jsonl
from inscl.workspace.lock import locked
from inscl.workspace.provenance import hardware, now, packages
from inscl.workspace.run_folder import Record, RunFolder
from inscl.workspace.scores import ScoreMatrix
from inscl.workspace.shared_scores import SharedScores

__all__ = ["Run", "evaluate_stage", "open_run", "run"]


@dataclass(frozen=True)
class Run:
    """A run on disk.

    Attributes:
        path: Its folder.
        stream: What was learned.
        scores: The score matrix; ``scores.array()`` is R, shape (T + 1, T), percent, row 0 the base model.
        metrics: Every metric by its full name, for each scorer; None where undefined.
    """

    path: Path
    stream: Stream
    scores: ScoreMatrix
    metrics: Mapping[str, Any]


def run(
    config: RunConfig | Mapping[str, Any] | str | Path,
    *,
    overrides: Sequence[str] = (),
    progress: Progress | None = None,
    shared: Path | None = None,
) -> Run:
    """Teach a model a stream of tasks and record what it kept. An interrupted run goes on where it was.

    Args:
        config: A YAML file, its content as a mapping, or a `RunConfig`.
        overrides: Changes as in ``replay.strategy=random``.
        progress: Where to tell how far it is.
        shared: Folder in which runs share the scores of experts and of the base model; None shares nothing.

    Raises:
        ConfigError: The configuration has mistakes; all are listed.
        DataError: The stream can't be read.
        WorkspaceError: The output folder holds another run, is in use, or can't be written.
        ModelError: The model can't be loaded or trained.
    """
    settings = load_config(config, overrides)
    stream = stream_of(settings)
    parts = Parts.of(settings, progress)
    path = Path(settings.output_dir)
    # Made before the folder is, so that a bad parameter or a missing model leaves nothing behind.
    manifest = _manifest(settings, stream)
    _ = parts.strategy, parts.budget, parts.scorers
    with locked(path):
        folder = RunFolder.open(path, settings, stream, manifest)
        if stream.rejected:
            write_jsonl(path / "rejected.jsonl", stream.rejected)
        for finding in stream.findings:
            parts.progress.note(finding)
        known = SharedScores(shared, settings, manifest["model"]["fingerprint"])
        if settings.evaluation.base and not folder.stage(0).done:
            _evaluate_base(parts, stream, folder, known)
        teach(parts, stream, folder)
        if settings.evaluation.experts:
            teach_experts(parts, stream, folder, known)
        return _summarise(folder, stream)


def teach(parts: Parts, stream: Stream, folder: RunFolder) -> None:
    """Learn the stages that are not recorded yet: the method itself (InsCL, section 3)."""
    done = folder.finished()
    if done == len(stream):
        return
    learner = parts.taught
    memory = _resume(learner, stream, folder, done)
    for stage, task in enumerate(stream.tasks[done:], start=done + 1):
        parts.progress.stage(stage, len(stream), task.name)
        record = folder.stage(stage)
        record.begin()
        clock = _Clock()

        plan = plan_stage(parts, stream, stage, memory)
        write_plan(record, plan)
        clock.lap("plan")

        if not waits(parts, stream, stage):
            report = learner.learn(task, plan.examples)
            record.write("learn.json", asdict(report))
            record.write_rows("train_log.jsonl", getattr(learner, "log", []))
            _save(learner, record)
            clock.lap("train")

            _evaluate(learner, parts, _in_scope(stream, stage, parts.config), record)
            clock.lap("evaluate")

        record.write("seconds.json", clock.laps)
        memory = memory.including(task, *parts.known(stream.tasks[:stage]))
        folder.memory.add(stage, task, memory.vectors, memory.tags)
        record.finish()
        _summarise(folder, stream)
        if parts.config.model.keep == "last":
            folder.drop_models(before=stage)


def teach_experts(parts: Parts, stream: Stream, folder: RunFolder, known: SharedScores) -> None:
    """Train and score each task alone: the S of Relative Gain.

    The first task's expert is stage 1 itself: nothing was learned before it, and the seed is the same.
    """
    for number, task in enumerate(stream, start=1):
        record = folder.expert(number)
        if record.done:
            continue
        record.begin()
        first = folder.stage(1)
        if (found := known.get("expert", task)) is not None:
            record.write_scores({task.name: found})
        elif number == 1 and task.name in first.scores():
            record.write_rows(_predictions(task.name), first.rows(_predictions(task.name)))
            record.write_scores({task.name: first.scores()[task.name]})
        else:
            parts.progress.stage(number, len(stream), f"{task.name} (expert)")
            learner = parts.new_learner()
            record.write("learn.json", asdict(learner.learn(task, [])))
            _evaluate(learner, parts, [task], record)
        known.put("expert", task, record.scores().get(task.name))
        record.finish()
        _summarise(folder, stream)


def evaluate_stage(
    path: Path, stage: int | None = None, tasks: Sequence[str] = (), progress: Progress | None = None
) -> Run:
    """Score a recorded stage on tasks that it wasn't scored on, and enter them in the run's records.

    Args:
        path: A run folder.
        stage: Which stage's model; 0 is the base model, None the last recorded one.
        tasks: Task names; none means all of the stream.
        progress: Where to tell how far it is.

    Raises:
        WorkspaceError: No run there, or the stage's weights were not kept.
        ConfigError: No such stage or task.
    """
    settings, stream, folder = open_run(path)
    parts = Parts.of(settings, progress)
    last = folder.finished()
    number = last if stage is None else stage
    if not 0 <= number <= last:
        raise ConfigError(f"stage {number} is not recorded: {path} has stages 0 to {last}")
    unknown = [name for name in tasks if name not in stream.names]
    if unknown:
        raise ConfigError([Problem("task", f"no task {name!r}{nearest(name, stream.names)}") for name in unknown])
    with locked(path):
        record = folder.stage(number)
        learner = parts.new_learner()
        if number:
            _load(learner, folder, stream, number)
        elif not record.done:
            record.begin()
        wanted = [task for task in stream if not tasks or task.name in tasks]
        _evaluate(learner, parts, wanted, record, kept=record.scores())
        record.finish()
        return _summarise(folder, stream)


def open_run(path: Path) -> tuple[RunConfig, Stream, RunFolder]:
    """Read back a run's configuration, stream and folder.

    Raises:
        ConfigError: The folder holds no run.
        DataError: Its stream can't be read any more.
    """
    found = path / "inscl.yaml"
    if not found.exists():
        raise ConfigError(f"no run there: {path} has no inscl.yaml")
    settings = load_config(found)
    stream = stream_of(settings)
    return settings, stream, RunFolder(path, stream.names, settings.evaluation.metrics)


def _resume(learner: Learner, stream: Stream, folder: RunFolder, done: int) -> Memory:
    # A stage without a report is one at which joint training waited: the model is still as it came.
    if done and (folder.stage(done).path / "learn.json").exists():
        _load(learner, folder, stream, done)
    return folder.memory.memory(stream.tasks[:done])


def _load(learner: Learner, folder: RunFolder, stream: Stream, stage: int) -> None:
    """Bring a learner to the state after `stage`: from its saved state, or by teaching it the recorded plans again."""
    record = folder.stage(stage)
    if isinstance(learner, Persistent):
        if not record.model.exists():
            raise ConfigError(f"the weights of stage {stage} were not kept; run with model.keep=all to keep them")
        learner.load(record.model)
        return
    for number, task in enumerate(stream.tasks[:stage], start=1):
        learner.learn(task, [Example.from_json(row) for row in folder.stage(number).rows("replay.jsonl")])


def _save(learner: Learner, record: Record) -> None:
    if isinstance(learner, Persistent):
        record.model.mkdir()
        learner.save(record.model)


def _evaluate(
    learner: Learner, parts: Parts, tasks: Iterable[Task], record: Record, kept: Mapping[str, Any] | None = None
) -> None:
    scores = dict(kept or {})
    asked = [task for task in tasks if task.name not in scores and task.test]
    longest = parts.config.evaluation.longest_answer
    for result in evaluate_together(learner, asked, parts.scorers, longest, parts.progress):
        record.write_rows(_predictions(result.task), result.predictions)
        scores[result.task] = result.to_json()
    record.write_scores(scores)


def _evaluate_base(parts: Parts, stream: Stream, folder: RunFolder, known: SharedScores) -> None:
    record = folder.stage(0)
    record.begin()
    parts.progress.stage(0, len(stream), "base model")
    found = {task.name: scores for task in stream if (scores := known.get("base", task)) is not None}
    _evaluate(parts.new_learner(), parts, stream, record, kept=found)
    for task in stream:
        known.put("base", task, record.scores().get(task.name))
    record.finish()


def _in_scope(stream: Stream, stage: int, settings: RunConfig) -> list[Task]:
    """The tasks to score after a stage; before the last, `between` caps the test examples of all but the new one."""
    last = {"learned": stage, "next": stage + 1, "all": len(stream)}[settings.evaluation.scope]
    most = settings.evaluation.between if stage < len(stream) else None

    def asked(task: Task) -> Task:
        return replace(task, test=tuple(sample(task.test, most, 0, content=lambda e: e.id, source=lambda e: "")))

    return [task if number == stage else asked(task) for number, task in enumerate(stream.tasks[:last], start=1)]


def _summarise(folder: RunFolder, stream: Stream) -> Run:
    """Write the run's ``scores.json`` and ``metrics.json`` from its stages' records."""
    scores = folder.scores()
    write_json(folder.path / "scores.json", scores.to_json())
    found: dict[str, Any] = {"schema": 1}
    undefined: dict[str, str] = {}
    for metric in scores.metrics:
        matrix = scores.array(metric), scores.expert_array(metric), scores.tasks
        found[metric] = metrics.all_metrics(*matrix)
        reasons = metrics.undefined_reasons(*matrix)
        undefined.update({f"{metric}.{name}": reason for name, reason in reasons.items()})
    found["undefined"] = undefined
    write_json(folder.path / "metrics.json", found)
    return Run(folder.path, stream, scores, found)


def _manifest(settings: RunConfig, stream: Stream) -> dict[str, Any]:
    return {
        "schema": 1,
        "created": now(),
        "inscl": packages().get("inscl", "unknown"),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": packages(),
        "hardware": hardware(),
        "seed": settings.seed,
        "strategy": settings.replay.strategy,
        "label": settings.label or settings.replay.strategy,
        "stream": {
            "name": stream.name,
            "fingerprint": fingerprint(stream),
            "findings": list(stream.findings),
            "tasks": [
                {
                    "name": task.name,
                    "train": len(task.train),
                    "test": len(task.test),
                    "instructions": len(task.instructions),
                    "fingerprint": fingerprint(task),
                }
                for task in stream
            ],
        },
        "model": {"name": settings.model.name, "fingerprint": models.fingerprint(models.resolve(settings.model.name))},
    }


def _predictions(task: str) -> str:
    return f"predictions/{task}.jsonl"


class _Clock:
    """Seconds between laps."""

    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self._last = time.monotonic()

    def lap(self, name: str) -> None:
        """Note the seconds since the last lap."""
        moment = time.monotonic()
        self.laps[name] = round(moment - self._last, 3)
        self._last = moment
