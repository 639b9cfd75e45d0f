"""The method, top to bottom: for every new task plan the replay, learn, evaluate, record."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from inscl.config.identity import deciding_settings, plugins_of
from inscl.config.loading import load_config
from inscl.config.settings import RunConfig
from inscl.contract import Memory, Stream, Task
from inscl.contract.fingerprints import fingerprint
from inscl.contract.plan import ReplayPlan
from inscl.contract.seams import Progress
from inscl.contract.traits import LearnerTraits, traits_of
from inscl.data.splits import sample
from inscl.engine.overview import Run, manifest_of, summarise
from inscl.engine.parts import Parts
from inscl.engine.plan import stream_of
from inscl.engine.stage import evaluate_tasks, follow_plans, learn, load_stage, predictions_file, teach_stage
from inscl.errors import ConfigError, Problem, nearest
from inscl.storage.files.atomic import write_jsonl
from inscl.storage.files.lock import locked
from inscl.storage.files.sealed_files import copy_of, read_sealed_text
from inscl.storage.run.ledger import LEDGER, Ledger
from inscl.storage.run.run_folder import RunFolder, memory_key
from inscl.storage.run.shared_scores import SharedScores
from inscl.storage.run.stage_record import Record

__all__ = ["Run", "evaluate_stage", "open_run", "run", "teach", "teach_experts"]


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
    path = Path(settings.output_dir)
    if (path / LEDGER).exists():
        raise ConfigError(f"{path} is a workspace: `inscl learn DATA -w {path}` teaches it more")
    stream = stream_of(settings)
    parts = Parts.of(settings, progress)
    # Before the folder is made, so that a bad parameter or a missing model leaves nothing behind.
    manifest = manifest_of(settings, stream)
    parts.check()
    with locked(path):
        folder = RunFolder.open(path, settings, stream, manifest)
        if stream.rejected:
            write_jsonl(path / "rejected.jsonl", stream.rejected)
        for finding in stream.findings:
            parts.progress.note(finding)
        known = SharedScores(shared, settings, manifest["model"]["fingerprint"])
        if settings.evaluation.base:
            _evaluate_base(parts, stream, folder, known)
        teach(parts, stream, folder)
        if settings.evaluation.experts:
            teach_experts(parts, stream, folder, known)
        return summarise(folder, stream)


def teach(parts: Parts, stream: Stream, folder: RunFolder) -> None:
    """Learn the stages that are not recorded yet: the method itself (InsCL, section 3)."""
    done = folder.finished()
    folder.stage(done).clear_progress()
    if parts.config.model.keep == "last":
        folder.drop_models(before=done)
    _fill_memory(folder, stream, done)
    if done == len(stream):
        return
    learner = parts.taught
    memory = _resume(parts, stream, folder, done)
    for stage, task in enumerate(stream.tasks[done:], start=done + 1):
        record = folder.stage(stage)
        record.begin()
        teach_stage(parts, learner, stream, record, memory, _in_scope(stream, stage, parts.config))
        memory = memory.including(task, *parts.known(stream.tasks[:stage]))
        folder.memory.add(memory_key(stage), task, memory.vectors, memory.tags)
        record.finish()
        summarise(folder, stream)
        if parts.config.model.keep == "last":
            folder.drop_models(before=stage)


def teach_experts(parts: Parts, stream: Stream, folder: RunFolder, known: SharedScores) -> None:
    """Train and score each task alone: the S of Relative Gain.

    The first task's expert is stage 1 itself: nothing was learned before it, and the seed is the same. An expert that
    another run is making, which shares its scores, comes last and is taken over.
    """
    left = list(enumerate(stream, start=1))
    while left:
        before = len(left)
        for number, task in tuple(left):
            record = folder.expert(number)
            with known.claimed("expert", task) as ours:
                if not (ours or record.done):
                    continue
                if not record.done:
                    _teach_expert(parts, stream, folder, known, record)
                    record.finish()
                    summarise(folder, stream)
                record.clear_progress()  # of an expert that was interrupted at its very end
                # What others made already stays; and what an interruption kept from being shared is shared now.
                known.put("expert", task, record.scores().get(task.name))
            left.remove((number, task))
        if len(left) == before:
            time.sleep(1)


def _teach_expert(parts: Parts, stream: Stream, folder: RunFolder, known: SharedScores, record: Record) -> None:
    number, task, first = record.stage, stream.tasks[record.stage - 1], folder.stage(1)
    record.begin()
    if (found := known.get("expert", task)) is not None:
        record.write_scores({task.name: found})
    elif number == 1 and task.name in first.scores():
        record.write_rows(predictions_file(task.name), first.rows(predictions_file(task.name)))
        record.write_scores({task.name: first.scores()[task.name]})
    else:
        parts.progress.stage(number, len(stream), f"{task.name} (expert)")
        learner = parts.new_learner()
        progress = record.progress(
            [deciding_settings(parts.config), plugins_of(parts.config), "expert", number, fingerprint(task)]
        )
        # Its weights are of no use once it is scored.
        learn(learner, task, ReplayPlan.nothing(task.name), record, progress, ["learn.json"], progress.path / "model")
        evaluate_tasks(learner, parts, [task], record, progress)


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
        if (path / LEDGER).exists():
            # A new revision, so that the overview is made of all stages again, should this be interrupted at its end.
            Ledger.read(path).write(path)
        record = folder.stage(number)
        learner = parts.new_learner()
        if number:
            load_stage(learner, folder, stream, number)
        elif not record.done:
            record.begin()
        wanted = [task for task in stream if not tasks or task.name in tasks]
        finished = record.progress([deciding_settings(settings), plugins_of(settings), "evaluate", number])
        evaluate_tasks(learner, parts, wanted, record, finished, kept=record.scores())
        record.finish()
        return summarise(folder, stream)


def open_run(path: Path) -> tuple[RunConfig, Stream, RunFolder]:
    """Read back a run's configuration, stream and folder.

    Raises:
        ConfigError: The folder holds no run.
        DataError: Its stream can't be read any more.
    """
    found = path / "inscl.yaml"
    if not found.exists() and not copy_of(found).exists():
        raise ConfigError(f"no run there: {path} has no inscl.yaml")
    read_sealed_text(found)
    settings = load_config(found)
    stream = stream_of(settings)
    return settings, stream, RunFolder(path, stream.names, settings.evaluation.metrics)


def _resume(parts: Parts, stream: Stream, folder: RunFolder, done: int) -> Memory:
    """Bring the learner to the state after stage `done`; returns the memory as it is then."""
    # A stage without a report is one at which joint training waited: the model is still as it came.
    if done and folder.stage(done).has("learn.json"):
        kept = next((n for n in range(done, 0, -1) if folder.stage(n).keeps_model), 0)
        if kept == done or not traits_of(parts.taught, LearnerTraits).saves:
            load_stage(parts.taught, folder, stream, done)
        else:
            # Stages before the last have no weights unless they were asked for; redoing the last needs them.
            parts.progress.note(f"the weights of stage {done} weren't kept: it is learned again, from the plans")
            if kept:
                load_stage(parts.taught, folder, stream, kept)
            follow_plans(parts.taught, folder, stream, range(kept + 1, done + 1))
    return folder.memory.memory(stream.tasks[:done])


def _fill_memory(folder: RunFolder, stream: Stream, done: int) -> None:
    """Put back what is missing of the memory: its folder may have been removed since it was damaged."""
    stored = set(folder.memory.keys())
    for stage, task in enumerate(stream.tasks[:done], start=1):
        if memory_key(stage) not in stored:
            folder.memory.add(memory_key(stage), task, {}, {})


def _evaluate_base(parts: Parts, stream: Stream, folder: RunFolder, known: SharedScores) -> None:
    record = folder.stage(0)
    # The row is asked as one: whoever else needs it waits, and takes it over.
    with known.claimed("base", min(stream, key=lambda task: task.name), wait=not record.done):
        if not record.done:
            record.begin()
            parts.progress.stage(0, len(stream), "base model")
            found = {task.name: scores for task in stream if (scores := known.get("base", task)) is not None}
            progress = record.progress([deciding_settings(parts.config), plugins_of(parts.config), "base"])
            evaluate_tasks(parts.new_learner(), parts, stream, record, progress, kept=found)
            record.finish()
        record.clear_progress()
        # After the stage counts: what is shared before would be taken for another run's by one that resumes.
        for task in stream:
            known.put("base", task, record.scores().get(task.name))


def _in_scope(stream: Stream, stage: int, settings: RunConfig) -> list[Task]:
    """The tasks to score after a stage; before the last, `between` caps the test examples of all but the new one."""
    last = {"learned": stage, "next": stage + 1, "all": len(stream)}[settings.evaluation.scope]
    most = settings.evaluation.between if stage < len(stream) else None

    def asked(task: Task) -> Task:
        return replace(task, test=tuple(sample(task.test, most, 0, content=lambda e: e.id, source=lambda e: "")))

    return [task if number == stage else asked(task) for number, task in enumerate(stream.tasks[:last], start=1)]
