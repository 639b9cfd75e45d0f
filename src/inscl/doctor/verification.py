"""Is everything in a run folder or a workspace as it was written? What isn't is named, with what to do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

from inscl.engine.overview import summary_of
from inscl.errors import ConfigError, InsclError
from inscl.storage.files.atomic import REMEDY, json_text
from inscl.storage.files.event_log import LOG, log_problem
from inscl.storage.files.sealed_files import copy_of, page_problem, read_sealed_json, read_sealed_text, seal_problem
from inscl.storage.memory.store import MemoryStore
from inscl.storage.objects.places import local_folder
from inscl.storage.run.run_folder import RunFolder, memory_key
from inscl.storage.run.stage_record import DONE, Record

__all__ = ["Damage", "verify"]

_SEALED = ("inscl.yaml", "manifest.json", "workspace.json")
_AGAIN = "it is made from the stages' records whenever the run's command is given"


@dataclass(frozen=True)
class Damage:
    """A file that isn't as it was written.

    Attributes:
        path: The file.
        problem: What is wrong with it.
        remedy: What to do.
    """

    path: Path
    problem: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.path} {self.problem}. What to do: {self.remedy}"


def verify(folder: Path) -> list[Damage]:
    """Hold every file of a run folder or a workspace against its checksum, or what it is made from; changes nothing.

    Args:
        folder: The folder, or an address: then the copy of this machine, brought up to date.

    Returns:
        What is damaged; nothing if all is as it was written.

    Raises:
        ConfigError: There is no run and no workspace.
    """
    folder = local_folder(folder)
    if not any((folder / name).exists() or copy_of(folder / name).exists() for name in _SEALED):
        raise ConfigError(f"no run there: {folder} has no inscl.yaml")
    found = [*_identity(folder), *_stages(folder), *_memory(folder), *_log(folder)]
    # Only from what is whole can be said what the rest should be.
    return found or list(_derived(folder))


def _identity(folder: Path) -> Iterator[Damage]:
    for path in (folder / name for name in _SEALED):
        if problem := seal_problem(path):
            whole = not seal_problem(copy_of(path)) and copy_of(path).exists()
            remedy = f"copy {copy_of(path)} over it" if whole else "put it back from a backup: its copy is damaged too"
            yield Damage(path, problem, remedy)
        elif copy_of(path).exists() and (problem := seal_problem(copy_of(path))):
            yield Damage(copy_of(path), problem, f"copy {path} over it")


def _stages(folder: Path) -> Iterator[Damage]:
    marks = [mark for place in ("stages", "experts", "discarded") for mark in sorted((folder / place).rglob(DONE))]
    for mark in marks:
        record = Record(mark.parent, 0, "")
        for name, problem in record.damaged().items():
            yield Damage(mark.parent / name, problem, REMEDY)


def _memory(folder: Path) -> Iterator[Damage]:
    store = MemoryStore(folder / "memory")
    workspace = (folder / "workspace.json").exists()
    again = "remove the folder memory and give the run's command again: the stream and the finished stages fill it"
    remedy = "put the folder memory back from a backup" if workspace else again
    problems = store.verify()
    if not problems and not workspace:  # a workspace's own record says which keys there are
        stages = sum((stage / DONE).exists() for stage in (folder / "stages").glob("*") if not _is_base(stage))
        missing = {memory_key(number) for number in range(1, stages + 1)} - set(store.keys())
        problems = [f"lacks the tasks of the stages {', '.join(sorted(missing))}"] if missing else []
    yield from (Damage(folder / "memory", problem, remedy) for problem in problems)


def _log(folder: Path) -> Iterator[Damage]:
    if problem := log_problem(folder):
        remedy = "nothing is read from it: correct the line, or delete it; `inscl log` knows the history by itself"
        yield Damage(folder / LOG, problem, remedy)


def _is_base(stage: Path) -> bool:
    return stage.name.startswith("00-")


def _derived(folder: Path) -> Iterator[Damage]:
    """The files of the whole that are made from the stages' records."""
    try:
        settings = yaml.safe_load(read_sealed_text(folder / "inscl.yaml"))
        manifest = read_sealed_json(folder / "manifest.json")
        scores = RunFolder.of_manifest(folder, manifest, settings["evaluation"]["metrics"]).scores()
    except (InsclError, KeyError, TypeError, ValueError) as error:
        yield Damage(folder, f"can't be read as a whole ({error})", "put it back from a backup")
        return
    # A workspace that has learned nothing has neither.
    made = {"scores.json": scores.to_text(), "metrics.json": json_text(summary_of(scores))} if scores.tasks else {}
    for name, text in made.items():
        path = folder / name
        if not path.exists():
            if scores.cells:
                yield Damage(path, "is missing", _AGAIN)
        elif path.read_bytes() != text.encode(errors="surrogatepass"):
            yield Damage(path, "isn't what the stages' records give", _AGAIN)
    if problem := page_problem(folder / "report.html"):
        yield Damage(folder / "report.html", problem, f"make it again: inscl report {folder}")
