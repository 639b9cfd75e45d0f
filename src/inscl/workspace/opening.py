"""A workspace's folder: made, opened, held while it is written to, and put right after an interruption."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from inscl.config.loading import load_config
from inscl.config.settings import RunConfig
from inscl.contract import Stream, Task
from inscl.data.yaml_values import dump_yaml
from inscl.engine.overview import manifest_of, summarise
from inscl.engine.parts import Parts
from inscl.errors import ConfigError, Problem, UserError, WorkspaceError
from inscl.storage.files.atomic import is_partial, remove_partial
from inscl.storage.files.event_log import note
from inscl.storage.files.integrity import digest
from inscl.storage.files.lock import locked
from inscl.storage.files.provenance import now
from inscl.storage.files.sealed_files import (
    COPIES,
    read_sealed_json,
    read_sealed_text,
    write_sealed_json,
    write_sealed_text,
)
from inscl.storage.memory.store import MemoryStore
from inscl.storage.run.ledger import LEDGER, Event, LearnedTask, Ledger
from inscl.storage.run.run_folder import Record, RunFolder

__all__ = [
    "AdapterMode",
    "check_per_task",
    "discarded_stage",
    "disk_of",
    "folder_of",
    "make",
    "mode_of",
    "settings_of",
    "store_of",
    "write_overview",
    "writing",
]

AdapterMode = Literal["keep", "merge", "fresh", "none"]
# What an interruption may leave of a workspace that was being made.
_OURS = (".lock", COPIES, "manifest.json", "inscl.yaml")
_DERIVED = ("scores.json", "metrics.json", "report.html")


def make(
    path: Path, model: str, adapter: AdapterMode | None, changes: Sequence[str] = (), per_task: int | None = None
) -> None:
    """Make an empty workspace in `path`.

    Args:
        path: A folder that isn't there or is empty.
        model: The model that will learn.
        adapter: What becomes of the adapter from stage to stage; ``none`` trains every weight. None: as configured.
        changes: Settings as in ``training.epochs=3``.
        per_task: Most test examples of each task that a stage is scored on; None means all.

    Raises:
        ConfigError: Settings that can't be.
        ModelError: There is no such model.
        WorkspaceError: The folder is in use or can't be written.
    """
    # Weights of every stage are kept, so that any can be gone back to.
    base: dict[str, Any] = {"model": {"name": model, "keep": "all"}, "stream": {"path": "workspace"}}
    chosen = {None: [], "none": ["model.adapter.kind=none"]}.get(adapter, [f"model.adapter.mode={adapter}"])
    settings = load_config(base, [*chosen, *changes, f"output_dir={_quoted(str(path.resolve()))}"])
    _check(settings, per_task)
    Parts.of(settings).check()
    manifest = manifest_of(settings, Stream((), "workspace"))
    if path.exists() and (not path.is_dir() or not all(_is_ours(entry.name) for entry in path.iterdir())):
        held = "holds a workspace already" if (path / LEDGER).exists() else "is not empty"
        raise UserError(f"{path} {held}: choose another folder")
    with locked(path):
        remove_partial(path)
        write_sealed_json(path / "manifest.json", manifest)
        write_sealed_text(path / "inscl.yaml", dump_yaml(settings.model_dump(mode="json")))
        made = Event(when=now(), what="made", facts={"model": model, "adapter": mode_of(settings)})
        Ledger(per_task=per_task, history=(made,)).write(path)
        note(path, f"made: model {model}, adapter {mode_of(settings)}")


def _is_ours(name: str) -> bool:
    return name in _OURS or is_partial(name)


def settings_of(path: Path, changes: Sequence[str] = ()) -> RunConfig:
    """The workspace's configuration with `changes`.

    Raises:
        UserError: There is no workspace.
        ConfigError: The configuration or a change is wrong.
    """
    Ledger.read(path)
    file = path / "inscl.yaml"
    return _settings(path.resolve(), file.stat().st_mtime_ns if file.exists() else 0, tuple(changes))


@lru_cache(maxsize=8)
def _settings(path: Path, stamp: int, changes: tuple[str, ...]) -> RunConfig:
    """Read once for as long as the file is as it was at `stamp`."""
    read_sealed_text(path / "inscl.yaml")
    # Wherever the folder was moved to.
    return load_config(path / "inscl.yaml", [*changes, f"output_dir={_quoted(str(path))}"])


def store_of(path: Path) -> MemoryStore:
    """The workspace's memory."""
    return MemoryStore(path / "memory")


def folder_of(path: Path, settings: RunConfig, ledger: Ledger, more: Sequence[str] = ()) -> RunFolder:
    """The records of the stages that count, and of tasks that come next."""
    return RunFolder(path, [*ledger.names, *more], settings.evaluation.metrics)


@contextmanager
def writing(path: Path) -> Iterator[Ledger]:
    """Hold the workspace for writing; what an interrupted command left is put right first.

    Raises:
        UserError: There is no workspace.
        WorkspaceError: Another process holds it, or it can't be written.
    """
    Ledger.read(path)
    with locked(path):
        ledger = Ledger.read(path)
        _put_right(path, ledger)
        yield ledger


def write_overview(path: Path, settings: RunConfig, ledger: Ledger) -> None:
    """Write what is made from the stages and ``workspace.json``: scores, metrics, manifest; a stale report goes."""
    for name in _DERIVED if not ledger.tasks else _DERIVED[2:]:
        (path / name).unlink(missing_ok=True)
    manifest = read_sealed_json(path / "manifest.json")
    if ledger.tasks:
        # Only what the stages recorded is read, no examples.
        named = Stream(tuple(Task(name, ()) for name in ledger.names), "workspace")
        summarise(folder_of(path, settings, ledger), named, _trusted_scores(path, manifest))
        manifest["scores_sha256"] = digest(path / "scores.json")
    tasks = [
        {
            "name": task.name,
            "train": task.train,
            "test": task.test,
            "instructions": task.instructions,
            "fingerprint": task.fingerprint,
        }
        for task in ledger.tasks
    ]
    manifest["stream"] = {"name": "workspace", "fingerprint": "", "findings": [], "tasks": tasks}
    # Last, since it says that the others are up to date.
    write_sealed_json(path / "manifest.json", {**manifest, "revision": ledger.revision})


def _trusted_scores(path: Path, manifest: Mapping[str, Any]) -> str:
    """``scores.json`` as it stands, if it is what the manifest was written for byte for byte; empty otherwise."""
    file = path / "scores.json"
    whole = file.exists() and digest(file) == manifest.get("scores_sha256")
    return file.read_text(encoding="utf-8", errors="surrogatepass") if whole else ""


def _put_right(path: Path, ledger: Ledger) -> None:
    """Clear or move aside whatever `ledger` doesn't name."""
    for folder_written in (path, path / COPIES):
        remove_partial(folder_written)
    settings = settings_of(path)
    folder = folder_of(path, settings, ledger, [task.name for task in ledger.pending[:1]])
    named = {folder.stage(number).path for number in range(len(folder.tasks) + 1)}
    for last in (folder.stage(number) for number in {len(ledger.names), len(folder.tasks)}):
        if last.done:
            last.clear_progress()
    for stage in sorted((path / "stages").glob("*")):
        if stage not in named and (target := _place_of_discarded(path, ledger, stage)) is not None:
            target.parent.mkdir(parents=True, exist_ok=True)
            stage.replace(target)
        elif stage not in named:
            shutil.rmtree(stage)
    numbers = {f"{group.number:02d}" for group in ledger.discarded}
    for group in sorted((path / "discarded").glob("*")):
        if group.name not in numbers:
            shutil.rmtree(group)
    store = store_of(path)
    left = set(store.keys()) - set(ledger.keys)
    if left:
        store.drop(left)
    if read_sealed_json(path / "manifest.json").get("revision", 1) != ledger.revision:
        folder.drop_scores_of_others()
        write_overview(path, settings, ledger)


def _place_of_discarded(path: Path, ledger: Ledger, stage: Path) -> Path | None:
    """Where a stage's folder belongs that a rollback had not moved yet."""
    for group in reversed(ledger.discarded):
        for number, task in enumerate(group.tasks, start=group.first):
            target = discarded_stage(path, group.number, number, task).path
            if target.name == stage.name and not target.exists():
                return target
    return None


def discarded_stage(path: Path, group: int, number: int, task: LearnedTask) -> Record:
    """The record of a discarded stage."""
    names = [""] * (number - 1) + [task.name]
    stands = RunFolder(path, names, ()).stage(number).path.name
    return Record(path / "discarded" / f"{group:02d}" / stands, number, task.name)


def mode_of(settings: RunConfig) -> str:
    """What becomes of the adapter from stage to stage: ``keep``, ``merge``, ``fresh``, or ``none`` without one."""
    adapter = settings.model.adapter
    return "none" if adapter.kind == "none" else str(adapter.model_dump().get("mode", "keep"))


def _check(settings: RunConfig, per_task: int | None) -> None:
    problems = []
    for key in ("base", "experts"):
        if getattr(settings.evaluation, key):
            problems.append(
                Problem(f"evaluation.{key}", "is for runs; score the base model with `inscl evaluate --stage 0`")
            )
    if settings.stream.path != "workspace":
        problems.append(Problem("stream.path", "a workspace's tasks come from `inscl learn`"))
    if settings.evaluation.between is not None:
        problems.append(Problem("evaluation.between", "is for runs; a workspace takes --eval-per-task"))
    if problems:
        raise ConfigError(problems, "workspace")
    check_per_task(per_task, "workspace")


def check_per_task(per_task: int | None, where: str) -> None:
    """See that at least one example of a task is asked.

    Raises:
        ConfigError: None would be.
    """
    if per_task is not None and per_task < 1:
        problem = Problem("--eval-per-task", f"a whole number of 1 or more was expected, got {per_task}")
        raise ConfigError([problem], where)


def _quoted(text: str) -> str:
    return json.dumps(text)


def disk_of(place: Path) -> int:
    """Bytes of all files under `place`."""
    try:
        return sum(file.stat().st_size for file in place.rglob("*") if file.is_file())
    except OSError as error:
        raise WorkspaceError(f"can't read {place}: {error.strerror or error}") from error
