"""``inscl refine``: writes a refined stream to disk, with the reasons for every change."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from inscl.contract import Example, Stream, Task
from inscl.contract.seams import NullProgress, Progress
from inscl.contract.traits import RefinerTraits, traits_of
from inscl.data.leak_check import LeakCheck
from inscl.data.picture_files import write_pictures
from inscl.data.places import refuse_remote
from inscl.data.refined import REJECTED, SUMMARY, refine_split
from inscl.data.refiner_steps import Step, steps_of
from inscl.data.stream import LISTED, load_stream
from inscl.data.stream_settings import Leaks
from inscl.data.yaml_values import dump_yaml
from inscl.errors import ConfigError, DataError, Problem
from inscl.llm.costs import Estimate, Spent
from inscl.refining.difficulty import Student
from inscl.refining.page import PAGE, write_page
from inscl.storage.files.atomic import read_json, read_jsonl, write_json, write_jsonl, write_text
from inscl.storage.files.lock import locked

__all__ = ["RefinedStream", "estimate_refining", "refine_stream"]

TASKS = "tasks"
UNCHANGED = "unchanged.jsonl"
"""The file of rows that were to be improved and stay as they were, or were added to less than that; with reasons."""
COUNTED = ("kept", "replaced", "added", "rejected")


@dataclass(frozen=True)
class RefinedStream:
    """What ``inscl refine`` wrote.

    Attributes:
        folder: The new stream; `load_stream` reads it.
        counts: Task -> how many train rows were kept, replaced, added and rejected.
        findings: What was noticed while the data was read.
        resumed: Tasks that an earlier call had finished.
        unchanged: How many rows were to be improved and stay as they were, with a reason in ``unchanged.jsonl``.
        partly: To how many rows less was added than was to be, with a reason in the same file.
        spent: What asking a language model took, interrupted calls included; None if the refiner asks none.
    """

    folder: Path
    counts: Mapping[str, Mapping[str, int]]
    findings: tuple[str, ...] = ()
    resumed: tuple[str, ...] = field(default=())
    unchanged: int = 0
    partly: int = 0
    spent: Spent | None = None

    @property
    def page(self) -> Path:
        """Rows before and after, and what was left out and why."""
        return self.folder / PAGE

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
    student: str | None = None,
    elsewhere: Callable[[Step], AbstractContextManager[Step]] | None = None,
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
        student: The model by which the page measures IFD; None leaves it out.
        elsewhere: Opens another place to refine rows, and gives the step that does so there; None refines them here.
        progress: Where to tell how far it is.

    Raises:
        ConfigError: No such refiner or parameter, `out` holds something else, or the refiner needs the rows of a task
            together and was to work elsewhere.
        DataError: The data can't be read, or nothing is left of a task.
        WorkspaceError: `out` can't be written, or another process writes there.
    """
    refuse_remote(out)
    step = _step(refiner, params, progress)
    if elsewhere is not None:
        _refuse_together(step)
    taught = None if student is None else Student(student)
    if taught is not None:
        _ = taught.fingerprint  # a model that isn't there is told before anything is asked
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
    with locked(out), elsewhere(step) if elsewhere else nullcontext(step) as working:
        refined = _refine(_Folder(out, asked), stream, working, progress or NullProgress())
        write_page(out, taught)
        return refined


def estimate_refining(
    data: str | Path, refiner: str, params: Mapping[str, Any] | None = None, *, leaks: Leaks = "error"
) -> Estimate | None:
    """What refining a stream would ask of language models at most, without what is known already; None if it asks none.

    Raises:
        ConfigError: No such refiner or parameter.
        DataError: The data can't be read.
    """
    step = _step(refiner, params, None)
    if not step.asks:
        return None
    refining: Any = step.refiner
    stream = load_stream(data, options="given", leaks=leaks)
    return sum((refining.estimate(task.train) for task in stream), Estimate())


def _step(refiner: str, params: Mapping[str, Any] | None, progress: Progress | None) -> Step:
    try:
        (step,) = steps_of([{"name": refiner, "params": dict(params or {})}], "", progress)
    except ConfigError as error:
        problems = [Problem("", str(problem).removeprefix("[0]: ").removeprefix("[0].")) for problem in error.problems]
        raise ConfigError(problems, "inscl refine") from error
    return step


def _refuse_together(step: Step) -> None:
    """Refuse a refiner whose rows can't be dealt out to workers."""
    if traits_of(step.refiner, RefinerTraits).row_by_row:
        return
    said = (
        f"{step.name!r} can't be dealt out: it looks at several rows of a task at a time, or its traits don't say that "
        "it doesn't (row_by_row). Leave --on out"
    )
    raise ConfigError([Problem("--with", said)], "--on")


def _check_folder(out: Path, asked: Mapping[str, Any]) -> None:
    """Refuse a folder that holds anything but this refinement, begun or finished."""
    if not out.exists():
        return
    if not out.is_dir():
        raise ConfigError(f"{out} is a file; expected a folder to write to", "inscl refine")
    if (out / SUMMARY).is_file():
        before = read_json(out / SUMMARY).get("asked", {})
        differ = [name for name, value in asked.items() if before.get(name) != value]
        if differ == ["parameters"]:
            differ = []  # an address, or how much is asked at a time; what decides is in the fingerprint
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

    def write(self, counts: Mapping[str, Mapping[str, int]], complete: bool, spent: Spent | None = None) -> None:
        """Write the summary."""
        totals = {what: sum(of_task[what] for of_task in counts.values()) for what in COUNTED}
        summary = {"schema": 1, "complete": complete, "asked": self.asked, "totals": totals, "tasks": counts}
        write_json(self.path / SUMMARY, {**summary, **({} if spent is None else {"spent": asdict(spent)})})

    def spent(self) -> Spent:
        """What earlier calls spent."""
        return Spent(**read_json(self.path / SUMMARY).get("spent", {}))

    def rows(self, name: str, done: Mapping[str, Any]) -> list[Any]:
        """The rows of a file that belong to tasks that are done."""
        file = self.path / name
        return [row for row in read_jsonl(file) if row.get("task") in done] if file.is_file() else []


def _refine(folder: _Folder, stream: Stream, step: Step, progress: Progress) -> RefinedStream:
    counts = folder.done()
    unread = [row for row in stream.rejected if "task" not in row]
    resumed, rejected = tuple(counts), [*unread, *folder.rows(REJECTED, counts)]
    unchanged, before = folder.rows(UNCHANGED, counts), folder.spent()
    tested = LeakCheck(example for task in stream for example in task.test)
    try:
        for number, task in enumerate(stream, start=1):
            if task.name in counts:
                continue
            progress.stage(number, len(stream), task.name)
            done = refine_split([step], task.train, tested)
            if not done.examples:
                (reason, count), *_ = Counter(str(facts["reason"]) for _, facts in done.rejected).most_common()
                raise DataError(
                    f"every train example of the task {task.name!r} was rejected, {count} of {len(task.train)} since "
                    f"{reason}: nothing could be learned. Change the parameters of {step.name}, or leave the task out; "
                    "the tasks before it are kept"
                )
            train = [example for example, _ in done.examples]
            names = write_pictures(folder.path / TASKS, [*train, *task.test])
            write_jsonl(folder.file(task.name), _rows(task, train, names))
            rejected += [row for row in stream.rejected if row.get("task") == task.name]
            rejected += [{"task": task.name, "place": place + 1, **facts} for place, facts in done.rejected]
            write_jsonl(folder.path / REJECTED, rejected)
            if done.unchanged:
                unchanged += [{"task": task.name, "place": place + 1, **facts} for place, facts in done.unchanged]
                write_jsonl(folder.path / UNCHANGED, unchanged)
            counts[task.name] = dict(done.counts[0][1])
            folder.write(counts, complete=False, spent=_spent(step, before))
        write_text(folder.path / LISTED, dump_yaml([_listed(task) for task in stream]))
    except BaseException:
        if step.asks:  # what was paid stands in the summary, however the call ends
            folder.write(counts, complete=False, spent=_spent(step, before))
        raise
    folder.write(counts, complete=True, spent=_spent(step, before))
    partly = sum("made" in row for row in unchanged)
    kept = len(unchanged) - partly
    return RefinedStream(folder.path, counts, stream.findings, resumed, kept, partly, _spent(step, before))


def _spent(step: Step, before: Spent) -> Spent | None:
    refiner: Any = step.refiner
    return before + refiner.spent if step.asks else None


def _listed(task: Task) -> dict[str, Any]:
    longest = {"max_new_tokens": task.max_new_tokens} if task.max_new_tokens else {}
    return {"name": task.name, "path": f"{TASKS}/{task.name}.jsonl", **longest}


def _rows(task: Task, train: list[Example], names: Mapping[str, str]) -> list[dict[str, Any]]:
    return [_row(example, split, names) for split, part in (("train", train), ("test", task.test)) for example in part]


def _row(example: Example, split: str, names: Mapping[str, str]) -> dict[str, Any]:
    """A row as the reader takes it: what was metadata is a column again, and the settings say which turns to learn."""
    row = example.to_json()
    metadata = row.pop("metadata", {})
    for turn in row.get("turns", ()):
        turn.pop("learn", None)
    del row["task"]
    if example.images:
        row["images"] = [replace(image, path=names[image.digest]).to_json() for image in example.images]
    return {**metadata, **row, "split": split}
