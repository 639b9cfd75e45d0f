"""Reading a stream: find the files, read their rows, divide, order, check for overlaps, sample."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from inscl.contract import Example, Stream, Task
from inscl.data.drafts import Draft, read_drafts
from inscl.data.entries import Entry, entries_of_list, entries_of_path
from inscl.data.held_out import parted
from inscl.data.leak_check import LeakCheck
from inscl.data.options import FOUND, find_options, told
from inscl.data.overlaps import find_overlaps
from inscl.data.readers.rows import read_bytes
from inscl.data.records import Journal, Record
from inscl.data.refined import is_unfinished, refine_split, rejected_before
from inscl.data.refiner_steps import Step, steps_of
from inscl.data.splits import sample
from inscl.data.stream_settings import Leaks, Options, Reasoning, StreamSettings, Turns
from inscl.data.yaml_values import parse_yaml
from inscl.errors import ConfigError, DataError, Problem

__all__ = ["LISTED", "is_listed", "load_stream"]

LISTED = "stream.yaml"
"""A folder with a file of this name is the stream that the file lists."""


def load_stream(
    path_or_config: str | Path | Sequence[Any] | Mapping[str, Any] | Stream,
    *,
    name: str | None = None,
    order: str | Sequence[str] | None = None,
    columns: Mapping[str, str] | None = None,
    train_per_task: int | None = None,
    test_per_task: int | None = None,
    test_share: float = 0.2,
    seed: int = 0,
    leaks: Leaks = "error",
    skip_bad_rows: bool = False,
    turns: Turns = "last",
    reasoning: Reasoning = "drop",
    options: Options = "found",
    metadata: Sequence[str] = (),
    refine: Sequence[Any] = (),
    held_out: Sequence[str] = (),
) -> Stream:
    """Read a stream of tasks.

    Args:
        path_or_config: One of: a file (one task, or several where a column ``task`` names them); a folder (each file a
            task, each subfolder with ``train.*`` a task; sorted by name); a YAML file with a list, or that list, whose
            items are paths or mappings ``{name, path | train + test, columns, max_new_tokens, options}``, in the order
            in which they are learned; a YAML file with a section ``stream:``, or that section, whose keys then count
            before the arguments below; a hub id; ``"demo"``, the stream that ships with inscl; or a stream, which is
            returned as it is.
        name: What to call the stream; default: the file's or folder's name.
        order: A name in `inscl.data.ORDERS`, or task names; tasks it doesn't hold are left out. Default: as found.
        columns: Field -> column (see `inscl.data.layouts.Layout`).
        train_per_task: Seeded sample of each train split, spread evenly over source tasks.
        test_per_task: The same for each test split.
        test_share: Part of a task held out for testing by content hash, where it has no test (or validation) split.
        seed: Chooses the samples; splits don't depend on it.
        leaks: What to do with an example in train and test: ``"error"`` stops, ``"drop"`` leaves out the train copies,
            ``"allow"`` keeps both. Either way they are named in the findings.
        skip_bad_rows: Put rows that can't be read aside, into `Stream.rejected`, instead of stopping at the first.
        turns: Which answers of a conversation are learned: the ``"last"`` one, or ``"all"``. Asked is the last turn.
        reasoning: ``"keep"`` makes what was thought before an answer (``reasoning_content``, ``reasoning``,
            ``thinking``) a part of it, between ``<think>`` and ``</think>``; ``"drop"`` leaves it out.
        options: ``"found"`` makes a task a choice whose answers are few, short, and come again and again (see
            `inscl.data.options.find_options`), unless its rows name options or its column of answers has classes;
            ``"given"`` leaves out that rule, ``"none"`` makes no task a choice; a list holds the options of every task.
        metadata: Columns that become `Example.metadata`.
        refine: Refiners of each task's train split, applied before sampling: names, mappings ``{name, params}``, or
            objects with a method `refine`. What they reject or replace goes to `Stream.rejected`, each row with its
            reason; so does what ``inscl refine`` rejected or replaced when it wrote the folder.
        held_out: Names of tasks that are scored at every stage and never learned: `Stream.held_out`. An order need not
            name them. Only experts learn their train rows (`Stream.for_experts`); where their data names no splits,
            every row is a test row.

    Returns:
        The stream. Its `findings` name leaks, duplicates, rows, files and columns that aren't used, very long texts,
        and what was decided: options that were found, turns that are learned.

    Raises:
        ConfigError: An argument or key is wrong; all are told at once.
        DataError: A file, a row, a task or its name can't be used; says which, where, and what was expected.
        MissingExtraError: A data set of the hub, and `datasets` is not installed.
    """
    if isinstance(path_or_config, Stream):
        return path_or_config
    shaped = (path_or_config, name, order, columns, train_per_task, test_per_task, test_share, seed)
    read = (leaks, skip_bad_rows, turns, reasoning, options, metadata, refine, held_out)
    arguments = StreamSettings(*shaped, *read)
    if isinstance(path_or_config, Mapping):
        return _load(arguments.with_section(path_or_config), from_section=True)
    return _load(arguments)


def _load(settings: StreamSettings, from_section: bool = False) -> Stream:
    """Find out what the path is, and read that.

    Args:
        settings: With the path.
        from_section: Whether they come from the section of a configuration already.
    """
    path, steps = settings.path, steps_of(settings.refine)
    before: list[dict[str, Any]] = []
    if isinstance(path, (str, Path)) and is_listed(path):
        path, before = Path(path) / LISTED, rejected_before(Path(path))
    elif isinstance(path, (str, Path)) and is_unfinished(path):
        raise DataError("`inscl refine` was interrupted here: give the same command again, it goes on", path)
    if isinstance(path, (str, Path)) and str(path).lower().endswith((".yaml", ".yml")):
        content = _read_yaml(Path(path))
        if isinstance(content, Mapping):
            if from_section:  # it may well be the same file, again and again
                raise DataError("a list of tasks was expected; a configuration's stream can't be a configuration", path)
            return _load(settings.with_section(content["stream"]), from_section=True)
        entries = entries_of_list(content, Path(path).parent, path)
        default_name = Path(path).resolve().parent.name if Path(path).name == LISTED else Path(path).stem
    elif path == "demo":
        return _demo(settings, steps)
    elif isinstance(path, (str, Path)):
        entries, default_name = entries_of_path(path), Path(path).resolve().stem
    elif isinstance(path, Sequence):
        entries, default_name = entries_of_list(path, Path()), "stream"
    else:
        raise ConfigError([Problem("stream.path", f"a path or a list was expected, not {type(path).__name__}")])
    stream = _read(settings, steps, entries, default_name)
    kept = {"", *(task.name for task in (*stream.tasks, *stream.held_out))}
    earlier = [row for row in before if row.get("task", "") in kept]
    return replace(stream, rejected=(*earlier, *stream.rejected))


def _read(settings: StreamSettings, steps: Sequence[Step], entries: Sequence[Entry], default_name: str) -> Stream:
    """The stream of these entries: divided, ordered, checked for overlaps, refined and sampled."""
    journal = Journal(settings.skip_bad_rows)
    drafts = read_drafts(entries, settings.layout, journal)
    _check_metadata(settings, (record.example for draft in drafts.values() for record in draft.records))
    names, findings = parted(list(drafts), settings.order, settings.held_out)
    journal.findings.extend(findings)
    left_out = tuple(name for name in drafts if name not in (*names, *settings.held_out))
    drafts = {name: drafts[name] for name in (*names, *settings.held_out)}
    for name, draft in drafts.items():
        draft.held_out = name in settings.held_out
        draft.divide(settings.test_share, journal)
    _settle_overlaps(drafts, settings, journal)
    for draft in drafts.values():
        draft.settle_options(journal)
    _refine(drafts, steps, journal)
    tasks, whole = (
        tuple(_task(draft, settings) for draft in drafts.values() if draft.held_out is held) for held in (False, True)
    )
    journal.close()
    called = settings.name or default_name
    held_out, for_experts = _held_out(whole)
    said = tuple(journal.findings), tuple(journal.rejected)
    return Stream(tasks, called, *said, held_out, left_out, for_experts)


def _demo(settings: StreamSettings, steps: Sequence[Step]) -> Stream:
    """The stream that ships with inscl; its data is known to be sound."""
    from inscl.data.demo import demo_stream

    if not isinstance(settings.options, str):
        raise ConfigError([Problem("stream.options", "found, given or none was expected; the demo's tasks differ")])
    _check_metadata(settings, ())
    stream = demo_stream(settings.seed)
    tasks = {task.name: _with_options(task) if settings.options == "found" else task for task in stream}
    names, findings = parted(list(tasks), settings.order, settings.held_out)
    scored = {name: tasks[name] for name in settings.held_out}
    learned, findings, rejected = _refined({name: tasks[name] for name in names}, scored, steps, findings)
    choices = (told(name, task.train or task.test, task.test, [FOUND]) for name, task in {**learned, **scored}.items())
    learned, scored = (
        {
            name: replace(
                task,
                train=_sample(task.train, settings.train_per_task, settings.seed),
                test=_sample(task.test, settings.test_per_task, settings.seed),
            )
            for name, task in part.items()
        }
        for part in (learned, scored)
    )
    held_out, for_experts = _held_out(tuple(scored.values()))
    return replace(
        stream,
        tasks=tuple(learned.values()),
        findings=(*findings, *filter(None, choices)),
        rejected=rejected,
        held_out=held_out,
        left_out=tuple(name for name in tasks if name not in (*learned, *scored)),
        for_experts=for_experts,
    )


def _held_out(whole: tuple[Task, ...]) -> tuple[tuple[Task, ...], tuple[Task, ...]]:
    """The tasks that are held out without their train rows, and those of them that have any, with them."""
    return tuple(replace(task, train=()) for task in whole), tuple(task for task in whole if task.train)


def is_listed(folder: str | Path) -> bool:
    """Whether a folder says in `LISTED` which stream it is."""
    try:
        return (Path(folder) / LISTED).is_file()
    except (OSError, ValueError):  # a name that no file can have, which reading it will say
        return False


def _refine(drafts: Mapping[str, Draft], steps: Sequence[Step], journal: Journal) -> None:
    """Refine every train split; test splits stay as they are, and nothing of them gets into train."""
    if steps:
        tested = LeakCheck(record.example for draft in drafts.values() for record in draft.test)
        for draft in drafts.values():
            if not draft.held_out:
                draft.refine(steps, tested, journal)


def _refined(
    tasks: Mapping[str, Task], scored: Mapping[str, Task], steps: Sequence[Step], findings: Sequence[str]
) -> tuple[dict[str, Task], list[str], tuple[Mapping[str, Any], ...]]:
    """The same for tasks that come from no file."""
    asked = (*tasks.values(), *scored.values()) if steps else ()
    tested = LeakCheck(example for task in asked for example in task.test)
    after, told, rejected = dict(tasks), list(findings), []
    for name, task in tasks.items() if steps else ():
        done = refine_split(steps, task.train, tested)
        after[name] = replace(task, train=tuple(example for example, _ in done.examples))
        told += done.findings(name)
        rejected += [{"file": "demo", "line": place + 1, "task": name, **facts} for place, facts in done.rejected]
    return after, told, tuple(rejected)


def _check_metadata(settings: StreamSettings, examples: Iterable[Example]) -> None:
    """Refuse the name of a column that no row has."""
    if settings.metadata:
        missing = set(settings.metadata).difference(*(example.metadata for example in examples))
        if missing:
            raise ConfigError([Problem("stream.metadata", f"no row has a column {name!r}") for name in sorted(missing)])


def _with_options(task: Task) -> Task:
    found = find_options(task.train)
    return replace(task, train=tuple(map(found.set_on, task.train)), test=tuple(map(found.set_on, task.test)))


def _sample(examples: Sequence[Example], count: int | None, seed: int) -> tuple[Example, ...]:
    return tuple(sample(examples, count, seed, content=lambda e: e.id, source=lambda e: e.source))


def _read_yaml(path: Path) -> Any:
    """A YAML stream: a list, or a mapping with a section `stream`."""
    try:
        content = parse_yaml(read_bytes(path).decode("utf-8-sig"))
    except ValueError as error:
        raise DataError(f"invalid YAML: {error}", path, getattr(error, "line", None)) from error
    if isinstance(content, list) or (isinstance(content, dict) and isinstance(content.get("stream"), dict)):
        return content
    raise DataError("a list of tasks was expected, or a configuration with a section `stream:`", path)


def _settle_overlaps(drafts: Mapping[str, Draft], settings: StreamSettings, journal: Journal) -> None:
    """Name every overlap of the whole data, before sampling; treat leaks as the settings say."""
    overlaps = find_overlaps({name: (() if d.held_out else d.train, d.test) for name, d in drafts.items()})
    leaks = [overlap for overlap in overlaps if overlap.is_leak]
    if leaks and settings.leaks == "error":
        listing = "".join(f"\n  - {leak}" for leak in leaks[:10]) + ("\n  - …" if len(leaks) > 10 else "")
        count = "one test example stands" if len(leaks) == 1 else f"{len(leaks)} test examples stand"
        raise DataError(
            f"{count} in train too:{listing}\nRemove them, or set `leaks: drop` to leave out the train copies, or "
            "`leaks: allow` to keep them",
            settings.path if isinstance(settings.path, (str, Path)) else None,
        )
    for overlap in overlaps:
        done = {"drop": ", train copy left out", "allow": ", kept"}[settings.leaks] if overlap.is_leak else ""
        journal.note(f"{overlap.kind}{done}", str(overlap))
    if settings.leaks == "drop":
        copies = {id(place.record) for leak in leaks for place in leak.places if place.split == "train"}
        for draft in drafts.values():
            if not draft.held_out:
                draft.leave_out_of_train(copies)


def _task(draft: Draft, settings: StreamSettings) -> Task:
    def chosen(records: Sequence[Record], count: int | None) -> tuple[Example, ...]:
        taken = sample(records, count, settings.seed, content=lambda r: r.content, source=lambda r: r.origin)
        return tuple(record.example for record in taken)

    train = chosen(draft.train, settings.train_per_task)
    return Task(draft.name, train, chosen(draft.test, settings.test_per_task), draft.max_new_tokens)
