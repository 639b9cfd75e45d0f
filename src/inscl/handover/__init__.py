"""What was learned, handed to other programs: the mix with a configuration for their trainer, or one whole model."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from inscl.config import kinds, wrapping
from inscl.config.settings import RunConfig
from inscl.contract import Example
from inscl.contract.encodable import encodable
from inscl.contract.seams import Progress
from inscl.contract.traits import LearnerTraits, traits_of
from inscl.data.picture_files import FOLDER as PICTURES
from inscl.data.picture_files import picture_names, write_pictures
from inscl.data.writing import write_bytes
from inscl.engine.open_run import OpenRun, open_run
from inscl.errors import ConfigError, Problem, WorkspaceError, nearest
from inscl.handover.axolotl import axolotl
from inscl.handover.llama_factory import llama_factory
from inscl.handover.mix import Mix, learned_mix, next_mix
from inscl.handover.ms_swift import ms_swift
from inscl.handover.plain_jsonl import plain_jsonl
from inscl.handover.settings import PromptForm, Settings, prompt_form, settings_of
from inscl.handover.trl import trl
from inscl.storage.files.atomic import read_json, write_json

__all__ = ["TARGETS", "Exported", "export"]

TARGETS: Mapping[str, Callable[[Sequence[Example], Settings], dict[str, bytes]]] = {
    "jsonl": plain_jsonl,
    "trl": trl,
    "llama-factory": llama_factory,
    "axolotl": axolotl,
    "ms-swift": ms_swift,
}
_WITH_PICTURES = ("jsonl", "llama-factory", "ms-swift")
_RECORD = "export.json"
_MODEL = "model"


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes:
        folder: Where.
        files: The files' names in it; ``model`` and ``images`` are folders.
        new: Examples of the new task.
        replayed: Examples of earlier tasks.
        notes: What a reader should know.
    """

    folder: Path
    files: tuple[str, ...]
    new: int = 0
    replayed: int = 0
    notes: tuple[str, ...] = ()


def export(
    path: Path | str,
    to: str | None,
    out: Path | str,
    stage: int | None = None,
    merged: bool = False,
    *,
    data: Path | str | None = None,
    progress: Progress | None = None,
) -> Exported:
    """Write a stage's mix for another trainer, its model as one folder, or both.

    Args:
        path: A run folder or a workspace.
        to: ``jsonl``, ``trl``, ``llama-factory``, ``axolotl`` or ``ms-swift``; None writes no data.
        out: Where to write: a new or empty folder, or one that holds an earlier export, which is replaced.
        stage: Which stage; None is the last one learned.
        merged: Also write the model after that stage, adapter merged, into ``out/model``.
        data: A file or folder with a task that wasn't learned yet: its replay is planned, and the mix is that of the
            new task. With `merged`, the configuration begins with the model in ``model``.
        progress: Where to tell how far planning is.

    Raises:
        ConfigError: No run there, no such stage or target, nothing to write, or the stage's weights weren't kept.
        DataError: A picture of the mix can't be read any more.
        WorkspaceError: The folder holds something else, or can't be written.
    """
    folder = Path(out)
    _check(to, stage, merged, data)
    opened = open_run(Path(path), progress)
    number = _stage(opened, stage, least=0 if to is None else 1)
    settings = opened.settings_of_stage(number) if data is None else opened.settings
    earlier = _earlier_export(folder)
    notes: tuple[str, ...] = ()
    files: dict[str, bytes] = {}
    mix = None
    if to is not None:
        mix = learned_mix(opened, number) if data is None else next_mix(opened, data)
        files, notes = _files(to, settings, mix, begin_with_merged=merged and data is not None)
    if merged:
        if number:
            _check_weights(settings)
        _write_model(settings, opened, number, folder / _MODEL)
    _clear(folder, [name for name in earlier if name != _MODEL or not merged])
    for name, content in files.items():
        write_bytes(folder / name, content)
    pictured = write_pictures(folder, mix.examples if mix else ())
    new = 0 if mix is None else sum(example.task == mix.task for example in mix.examples)
    replayed = 0 if mix is None else len(mix.examples) - new
    beside = (*([PICTURES] if pictured else []), *([_MODEL] if merged else []))
    exported = Exported(folder, (*files, *beside), new, replayed, notes)
    origin = {"run": str(path), "stage": number, "to": to, "task": mix and mix.task}
    counts = {"new": new, "replayed": replayed}
    written = {"files": list(exported.files), "notes": list(notes)}
    write_json(folder / _RECORD, {"schema": 1, **origin, **counts, **written})
    return exported


def _check(to: str | None, stage: int | None, merged: bool, data: Path | str | None) -> None:
    problems = []
    if to is not None and to not in TARGETS:
        problems.append(Problem("to", f"no target {to!r}{nearest(to, list(TARGETS))}"))
    if to is None and not merged:
        problems.append(Problem("to", f"nothing to write: name a target ({', '.join(TARGETS)}), or ask for the model"))
    if to is None and data is not None:
        problems.append(Problem("next", "a mix needs a target: name one"))
    if stage is not None and data is not None:
        problems.append(Problem("stage", "a new task follows the last stage: leave it out"))
    if problems:
        raise ConfigError(problems, "export")


def _stage(opened: OpenRun, stage: int | None, least: int) -> int:
    last = opened.last_stage
    number = last if stage is None else stage
    if not least <= number <= last:
        recorded = f"stages {least} to {last}" if last >= least else "none"
        raise ConfigError(f"no stage {number} to export: {opened.path} has {recorded}")
    return number


def _earlier_export(folder: Path) -> list[str]:
    """What an earlier export wrote into the folder; nothing if it is new or empty."""
    if not folder.exists() or not any(folder.iterdir()):
        return []
    if not (folder / _RECORD).exists():
        raise WorkspaceError(f"{folder} is not empty and holds no export: choose another folder")
    return [Path(name).name for name in read_json(folder / _RECORD)["files"]]


def _clear(folder: Path, names: Sequence[str]) -> None:
    for name in names:
        path = folder / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def _files(to: str, settings: RunConfig, mix: Mix, begin_with_merged: bool) -> tuple[dict[str, bytes], tuple[str, ...]]:
    form = PromptForm() if to == "jsonl" else prompt_form(settings.model.name, settings.model.prompt)
    examples = [_encodable(example) for example in mix.examples]
    mended = sum(example is not given for example, given in zip(examples, mix.examples, strict=True))
    half = f"{mended} examples hold half a character, which is no Unicode; it was replaced by U+FFFD."
    notes = (*mix.notes, *((half,) if mended else ()))
    values = settings_of(settings, mix.task, form, notes)
    if begin_with_merged:
        values = replace(values, model=f"./{_MODEL}")
    if pictures := picture_names(examples):
        if to not in _WITH_PICTURES:
            said = f"the mix has pictures, which are written for {', '.join(_WITH_PICTURES)} alone: name one of these"
            raise ConfigError([Problem("to", said)], "export")
        values = replace(values, pictures=pictures)
    return TARGETS[to](examples, values), notes


def _encodable(example: Example) -> Example:
    """The example itself, or a copy without lone surrogates, at which other programs' readers stop."""
    written = json.dumps(example.to_json(), ensure_ascii=False)
    mended = encodable(written)
    return example if mended == written else replace(Example.from_json(json.loads(mended)), images=example.images)


def _check_weights(settings: RunConfig) -> None:
    learner = wrapping.unwrapped(settings.training.learner, settings.training.params)
    if not traits_of(kinds.load("learners", learner), LearnerTraits).trains:
        said = f"the learner {learner} changes no weights, so there is no model to write: leave --merged out"
        raise ConfigError([Problem("merged", said)], "export")


def _write_model(settings: RunConfig, opened: OpenRun, stage: int, out: Path) -> None:
    from inscl.handover.merged import save_merged

    if stage == 0:
        save_merged(settings.model, None, out)
        return
    record = opened.folder.stage(stage)
    if not record.keeps_model:
        raise ConfigError(f"the weights of stage {stage} were not kept; run with model.keep=all to keep them")
    record.check("model")
    if not (record.model / "learner.json").is_file():
        said = f"the learner {settings.training.learner!r} keeps no weights that could be merged; export a mix instead"
        raise ConfigError([Problem("merged", said)], "export")
    save_merged(settings.model, record.model, out)
