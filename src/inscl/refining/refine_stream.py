"""``inscl refine``: writes a refined stream to disk, with the reasons for every change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from inscl.contract import Example, Stream, Task
from inscl.contract.seams import NullProgress, Progress
from inscl.data.contents import content_of
from inscl.data.refined import REJECTED, SUMMARY, Step, refine_split, steps_of
from inscl.data.stream import LISTED, load_stream
from inscl.data.stream_settings import Leaks
from inscl.data.yaml_values import dump_yaml
from inscl.errors import ConfigError, DataError, Problem
from inscl.storage.files.atomic import read_json, read_jsonl, write_json, write_jsonl, write_text
from inscl.storage.files.lock import locked

__all__ = ["RefinedStream", "refine_stream"]

TASKS = "tasks"
COUNTED = ("kept", "replaced", "added", "rejected")


@dataclass(frozen=True)
class RefinedStream:
    """What ``inscl refine`` wrote.

    Attributes:
        folder: The new stream; `load_stream` reads it.
        counts: Task -> how many train rows were kept, replaced, added and rejected.
        findings: What was noticed while the data was read.
        resumed: Tasks that an earlier call had finished.
    """

    folder: Path
    counts: Mapping[str, Mapping[str, int]]
    findings: tuple[str, ...] = ()
    resumed: tuple[str, ...] = field(default=())

    @property
    def rejected(self) -> Path:
        """The rows that were rejected or replaced, each with its reason."""
        return self.folder / REJECTED


def refine_stream(
    data: str | Path,
    out: Path,
    refiner: str,
    params: Mapping[str, Any] | None = None,
    *,
    leaks: Leaks = "error",
    progress: Progress | None = None,
) -> RefinedStream:
    """Refine the train split of every task and write the stream that comes out of it; test splits stay as they are.

    What is finished is kept: given again after an interruption, it goes on with the next task.

    Args:
        data: As for `load_stream`.
        out: The folder to write. It gets one file per task in ``tasks``, ``stream.yaml`` that lists them in their
            order, ``rejected.jsonl`` and ``refine.json``, the summary.
        refiner: A registered name.
        params: The refiner's parameters.
        leaks: As for `load_stream`.
        progress: Where to tell how far it is.

    Raises:
        ConfigError: No such refiner or parameter, or `out` holds something else.
        DataError: The data can't be read, or nothing is left of a task.
        WorkspaceError: `out` can't be written, or another process writes there.
    """
    try:
        (step,) = steps_of([{"name": refiner, "params": dict(params or {})}], "")
    except ConfigError as error:
        problems = [Problem("", str(problem).removeprefix("[0]: ").removeprefix("[0].")) for problem in error.problems]
        raise ConfigError(problems, "inscl refine") from error
    stream = load_stream(data, options="given", leaks=leaks)
    asked = {
        "refiner": step.name,
        "version": step.version,
        "parameters": dict(step.parameters),
        "fingerprint": step.fingerprint,
        "data": stream.fingerprint,
    }
    _check_folder(out, asked)
    out.mkdir(parents=True, exist_ok=True)
    with locked(out):
        return _refine(_Folder(out, asked), stream, step, progress or NullProgress())


def _check_folder(out: Path, asked: Mapping[str, Any]) -> None:
    """Refuse a folder that holds anything but this refinement, begun or finished."""
    if not out.exists():
        return
    if not out.is_dir():
        raise ConfigError(f"{out} is a file; expected a folder to write to", "inscl refine")
    if (out / SUMMARY).is_file():
        before = read_json(out / SUMMARY).get("asked", {})
        differ = [name for name, value in asked.items() if before.get(name) != value]
        if differ:
            told = ", ".join(differ)
            raise ConfigError(f"{out} holds another refinement (it differs in {told}); give another folder")
    elif any(child.name != ".lock" for child in out.iterdir()):
        raise ConfigError(f"{out} isn't empty and holds no refinement; give another folder", "inscl refine")


@dataclass(frozen=True)
class _Folder:
    """The folder that is written, task by task: a task is done when the summary, written last, names it."""

    path: Path
    asked: Mapping[str, Any]

    def done(self) -> dict[str, dict[str, int]]:
        """Task -> counts, of those that are done."""
        if not (self.path / SUMMARY).is_file():
            self.write({}, complete=False)
        counts: dict[str, dict[str, int]] = read_json(self.path / SUMMARY)["tasks"]
        return {name: value for name, value in counts.items() if self.file(name).is_file()}

    def file(self, task: str) -> Path:
        """Where a task's rows stand."""
        return self.path / TASKS / f"{task}.jsonl"

    def write(self, counts: Mapping[str, Mapping[str, int]], complete: bool) -> None:
        """Write the summary."""
        totals = {what: sum(of_task[what] for of_task in counts.values()) for what in COUNTED}
        summary = {"schema": 1, "complete": complete, "asked": self.asked, "totals": totals, "tasks": counts}
        write_json(self.path / SUMMARY, summary)

    def rejected(self, done: Mapping[str, Any]) -> list[Any]:
        """The rejected rows of the tasks that are done."""
        file = self.path / REJECTED
        return [row for row in read_jsonl(file) if row.get("task") in done] if file.is_file() else []


def _refine(folder: _Folder, stream: Stream, step: Step, progress: Progress) -> RefinedStream:
    counts = folder.done()
    unread = [row for row in stream.rejected if "task" not in row]
    resumed, rejected = tuple(counts), [*unread, *folder.rejected(counts)]
    tested = {content_of(example) for task in stream for example in task.test}
    for number, task in enumerate(stream, start=1):
        if task.name in counts:
            continue
        progress.stage(number, len(stream), task.name)
        done = refine_split([step], task.train, tested)
        if not done.examples:
            raise DataError(f"every train example of the task {task.name!r} was rejected; nothing could be learned")
        write_jsonl(folder.file(task.name), _rows(task, [example for example, _ in done.examples]))
        rejected += [row for row in stream.rejected if row.get("task") == task.name]
        rejected += [{"task": task.name, "place": place + 1, **facts} for place, facts in done.rejected]
        write_jsonl(folder.path / REJECTED, rejected)
        counts[task.name] = dict(done.counts[0][1])
        folder.write(counts, complete=False)
    listing = [_listed(task) for task in stream]
    write_text(folder.path / LISTED, dump_yaml(listing))
    folder.write(counts, complete=True)
    return RefinedStream(folder.path, counts, stream.findings, resumed)


def _listed(task: Task) -> dict[str, Any]:
    longest = {"max_new_tokens": task.max_new_tokens} if task.max_new_tokens else {}
    return {"name": task.name, "path": f"{TASKS}/{task.name}.jsonl", **longest}


def _rows(task: Task, train: list[Example]) -> list[dict[str, Any]]:
    return [_row(example, split) for split, part in (("train", train), ("test", task.test)) for example in part]


def _row(example: Example, split: str) -> dict[str, Any]:
    """A row as the reader takes it: what was metadata is a column again, and the settings say which turns to learn."""
    row = example.to_json()
    metadata = row.pop("metadata", {})
    for turn in row.get("turns", ()):
        turn.pop("learn", None)
    del row["task"]
    return {**metadata, **row, "split": split}
