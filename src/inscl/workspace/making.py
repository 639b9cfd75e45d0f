"""``inscl init``: an empty workspace in a folder of its own."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, get_args

from inscl.config.loading import load_config
from inscl.config.settings import RunConfig
from inscl.contract import Stream
from inscl.data.yaml_values import dump_yaml
from inscl.engine.overview import manifest_of
from inscl.engine.parts import Parts
from inscl.errors import ConfigError, Problem, UserError
from inscl.storage.files.atomic import is_partial, remove_partial
from inscl.storage.files.event_log import note
from inscl.storage.files.provenance import now
from inscl.storage.files.sealed_files import COPIES, write_sealed_json, write_sealed_text
from inscl.storage.objects.places import called, held
from inscl.storage.run.ledger import LEDGER, Event, Keep, Ledger
from inscl.workspace.keeping import keep_problems

__all__ = ["AdapterMode", "check_settings", "make"]

AdapterMode = Literal["keep", "merge", "fresh", "none"]
# What an interruption may leave of a workspace that was being made.
_OURS = (".lock", COPIES, "manifest.json", "inscl.yaml")


def make(
    path: Path,
    model: str,
    adapter: AdapterMode | None,
    changes: Sequence[str] = (),
    per_task: int | None = None,
    keep: Keep = "examples",
) -> None:
    """Make an empty workspace in `path`.

    Args:
        path: A folder that isn't there or is empty.
        model: The model that will learn.
        adapter: What becomes of the adapter from stage to stage; ``none`` trains every weight. None: as configured.
        changes: Settings as in ``training.epochs=3``.
        per_task: Most test examples of each task that a stage is scored on; None means all.
        keep: What stays of a task's train examples once it is learned. Where they don't, `pseudo` is the strategy
            unless another is chosen.

    Raises:
        ConfigError: Settings that can't be.
        ModelError: There is no such model.
        WorkspaceError: The folder is in use or can't be written.
    """
    # Weights of every stage are kept, so that any can be gone back to.
    base: dict[str, Any] = {"model": {"name": model, "keep": "all"}, "stream": {"path": "workspace"}}
    if keep not in get_args(Keep):
        raise ConfigError([Problem("--keep", f"one of {', '.join(get_args(Keep))} was expected, got {keep!r}")], "init")
    if keep != "examples":
        base["replay"] = {"strategy": "pseudo"}
    chosen = {None: [], "none": ["model.adapter.kind=none"]}.get(adapter, [f"model.adapter.mode={adapter}"])
    settings = load_config(base, [*chosen, *changes, f"output_dir={json.dumps(called(path))}"])
    check_settings(settings, per_task, "workspace", keep)
    Parts.of(settings).check()
    manifest = manifest_of(settings, Stream((), "workspace"))
    if path.exists() and (not path.is_dir() or not all(_is_ours(entry.name) for entry in path.iterdir())):
        problem = "holds a workspace already" if (path / LEDGER).exists() else "is not empty"
        raise UserError(f"{called(path)} {problem}: choose another folder")
    with held(path):
        remove_partial(path)
        write_sealed_json(path / "manifest.json", manifest)
        write_sealed_text(path / "inscl.yaml", dump_yaml(settings.model_dump(mode="json")))
        mode = settings.model.adapter_mode
        kept = {} if keep == "examples" else {"keep": keep}
        made = Event(when=now(), what="made", facts={"model": model, "adapter": mode, **kept})
        # Of another format, so that no older version opens it and keeps what was to go.
        ledger = Ledger(per_task=per_task, keep=keep, history=(made,)).changed(version=2 if kept else 1)
        ledger.write(path)
        note(path, f"made: model {model}, adapter {mode}" + (f", keeps {keep}" if kept else ""))


def _is_ours(name: str) -> bool:
    return name in _OURS or is_partial(name)


def check_settings(settings: RunConfig, per_task: int | None, where: str, keep: Keep = "examples") -> None:
    """See that a workspace or a stage of it can have these settings.

    Args:
        settings: The configuration.
        per_task: Most test examples of each task that are asked; None means all.
        where: What the message begins with.
        keep: What stays of the examples of a task that was learned.

    Raises:
        ConfigError: Some are for runs alone, no example would be asked, or examples are needed that don't stay.
    """
    problems = keep_problems(settings, keep)
    for key in ("base", "experts"):
        if getattr(settings.evaluation, key):
            problems.append(
                Problem(f"evaluation.{key}", "is for runs; score the base model with `inscl evaluate --stage 0`")
            )
    if settings.stream.path != "workspace":
        problems.append(Problem("stream.path", "a workspace's tasks come from `inscl learn`"))
    if settings.stream.held_out:
        problems.append(Problem("stream.held_out", "is for runs, whose tasks are known when they begin: leave it out"))
    if settings.evaluation.between is not None:
        problems.append(Problem("evaluation.between", "is for runs; a workspace takes --eval-per-task"))
    if per_task is not None and per_task < 1:
        problems.append(Problem("--eval-per-task", f"a whole number of 1 or more was expected, got {per_task}"))
    if problems:
        raise ConfigError(problems, where)
