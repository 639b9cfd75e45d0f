"""Erasure: removes texts from every file of a workspace and from the user's caches; numbers stay."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inscl.contract import Task
from inscl.data.refined import REJECTED
from inscl.engine.open_run import OpenWorkspace
from inscl.errors import UserError, nearest
from inscl.storage.files.event_log import note
from inscl.storage.files.integrity import content_digest
from inscl.storage.files.provenance import now
from inscl.storage.run.ledger import Event, LearnedTask, Ledger, Unfinished
from inscl.storage.run.stage_record import Record
from inscl.workspace.caches import clean_caches
from inscl.workspace.erasable import Erasable, what_goes
from inscl.workspace.lineage import StageFolder, TrainedStage, stage_folders, trained_on
from inscl.workspace.other_files import OtherFiles
from inscl.workspace.plain import Plain
from inscl.workspace.scrubbing import Scrubber

__all__ = ["Erasure", "erase"]


@dataclass(frozen=True)
class Erasure(Plain):
    """What `erase` removed, or would remove.

    Attributes:
        dry_run: Whether nothing was changed.
        examples: Task -> examples that went.
        made: How many of them went because a refiner had made them from what was asked for.
        files: Files of the workspace that were rewritten or deleted.
        cached: Entries that went from the user's caches.
        trained: Stages whose model was trained on what was erased; their weights stay.
        notes: What the user should read.
    """

    dry_run: bool
    examples: Mapping[str, int]
    made: int
    files: int
    cached: int
    trained: tuple[TrainedStage, ...]
    notes: tuple[str, ...] = ()


def erase(opened: OpenWorkspace, task: str | None = None, match: str | None = None, dry_run: bool = False) -> Erasure:
    """Delete examples, all that refiners made from them, and everything that was written of them.

    That is: the memory with vectors and tags, answers, plans and replayed rows of every stage, rows that were set
    aside, reports, stages that were rolled back, and the user's caches of embeddings, tags and answers. Scores, counts,
    names of tasks and weights stay; the stages whose weights were trained on what went are named.

    Args:
        opened: The workspace, held for writing unless nothing is changed.
        task: Whose examples; of every task of that name, rolled back ones included.
        match: A regular expression; an example goes if it is found in its instruction, its input, the prompt of both,
            one of its references or where it came from. Answers of the model go likewise. What a refiner replaced is
            searched, too: it stands among the rows that were set aside.
        dry_run: Change nothing.

    Raises:
        UserError: Neither or both are given, no such task, the expression is wrong, or another erasure was begun and
            not finished.
        WorkspaceError: A file can't be read or written; give the same command again.
    """
    if (task is None) == (match is None):
        raise UserError("say what to erase: the name of a task, or --match REGEX")
    begun = _begun(opened.ledger, task, match)
    found = _target(opened, task, match, begun)
    folders, others = stage_folders(opened), OtherFiles.of(opened.path)
    trained = _trained(opened, folders, found, begun)
    notes, made = _notes(opened, found, others), max(begun.made, found.made)
    if dry_run:
        return Erasure(True, _counts(opened.ledger, found), made, 0, 0, trained, notes)
    told = tuple(one.to_json() for one in trained)
    begun = begun.model_copy(update={"trained": told, "parents": tuple(sorted(found.parents)), "made": made})
    opened.commit(erasing=begun)
    files, cached = _clean(opened, folders, others, found), clean_caches(found)
    opened.memory.erase(found.keys, found.takes if found.matches or found.parents else None, found.matches)
    entries, counts = _counted(opened)
    stages = [f"{one.stage} {one.task}" for one in trained if one.discarded is None]
    facts = {"task": task, "match": match is not None, "examples": counts, "made": made, "stages": stages}
    event = Event(when=now(), what="erased", facts=facts)
    opened.commit(erasing=None, history=(*opened.ledger.history, event), **entries)
    opened.write_overview()
    # By name alone where the user named a task: an expression may be what must not be found any more.
    said = f"erased: {task or 'by expression'}; {sum(counts.values())} examples; models: {', '.join(stages)}"
    note(opened.path, said)
    return Erasure(False, counts, made, files, cached, trained, notes)


def _counts(ledger: Ledger, found: Erasable) -> dict[str, int]:
    """How many examples of each task will go."""
    former = [task for group in ledger.discarded for task in group.tasks]
    counts: dict[str, int] = {}
    for entry in (*ledger.tasks, *ledger.pending, *former):
        if count := found.examples.get(entry.key):
            counts[entry.name] = counts.get(entry.name, 0) + count
    return counts


def _begun(ledger: Ledger, task: str | None, match: str | None) -> Unfinished:
    """This erasure as it was begun before, or anew; another one waits until the one that was begun is finished."""
    asked = Unfinished(task=task, match=None if match is None else content_digest(match))
    before = ledger.erasing
    if before is None:
        return asked
    if (before.task, before.match) != (asked.task, asked.match):
        which = "the same --match" if before.task is None else repr(before.task)
        raise UserError(f"another erasure is unfinished: run `inscl erase` with {which} first")
    return before


def _trained(
    opened: OpenWorkspace, folders: Sequence[StageFolder], found: Erasable, begun: Unfinished
) -> tuple[TrainedStage, ...]:
    """The stages trained on what goes: those told when it was begun, and those that came since."""
    told = [TrainedStage(**one) for one in begun.trained]
    known = {(one.discarded, one.stage, one.task) for one in told}
    now_found = trained_on(folders, opened.settings, _learned(opened, found), Scrubber(found).replayed)
    return (*told, *(one for one in now_found if (one.discarded, one.stage, one.task) not in known))


def _learned(opened: OpenWorkspace, found: Erasable) -> dict[str, int]:
    """Key of a task -> how many of its train examples go, those counted that were let go when it was learned."""
    ledger = opened.ledger
    if ledger.keep == "examples":
        return found.trained
    tasks = [*ledger.tasks, *(task for group in ledger.discarded for task in group.tasks)]
    return {**found.trained, **{task.key: task.train for task in tasks if task.key in found.keys}}


def _matcher(match: str) -> Callable[[str], bool]:
    try:
        pattern = re.compile(match)
    except re.error as error:
        raise UserError(f"--match is not a regular expression: {error}") from error
    if pattern.search(""):
        raise UserError("--match matches the empty text, so it would erase everything; make it more specific")
    return lambda text: pattern.search(text) is not None


def _target(opened: OpenWorkspace, task: str | None, match: str | None, begun: Unfinished) -> Erasable:
    """Find what goes."""
    ledger = opened.ledger
    entries = [*ledger.tasks, *ledger.pending, *(one for group in ledger.discarded for one in group.tasks)]
    names = list(dict.fromkeys(entry.name for entry in entries))
    if task is not None and task not in names and ledger.erasing is None:  # else begun, and then pruned
        raise UserError(f"no task {task!r}{nearest(task, names)}")
    keys = frozenset(entry.key for entry in entries if entry.name == task)
    found = Erasable(frozenset([task] if task else []), keys, None if match is None else _matcher(match))
    records = [one.record for one in stage_folders(opened)]
    return what_goes(opened.memory, [*records, *_unfinished(opened)], found, begun.parents)


def _unfinished(opened: OpenWorkspace) -> list[Record]:
    """The stage that is begun, if there is one."""
    return [opened.next_record(entry.name) for entry in opened.ledger.pending[:1]]


def _clean(opened: OpenWorkspace, folders: Sequence[StageFolder], others: OtherFiles, found: Erasable) -> int:
    """Take what goes out of every file but the memory's; returns how many files changed."""
    for record in _unfinished(opened):
        # It holds answers and plans, and is done again without what went; rows set aside can't be made again.
        record.clear_progress()
        record.begin(keep=[REJECTED])
        if record.has(REJECTED):
            record.write_rows(REJECTED, [row for row in record.rows(REJECTED) if not found.takes_rejected(row)])
    return Scrubber(found).clean(opened.path, folders, others)


def _counted(opened: OpenWorkspace) -> tuple[dict[str, Any], dict[str, int]]:
    """The ledger's tasks after the erasure, with what each lost in all; and what each lost now."""
    ledger, store = opened.ledger, opened.memory
    keys = set(store.keys())
    counts: dict[str, int] = {}

    def after(entry: LearnedTask) -> LearnedTask:
        left = store.task(entry.key) if entry.key in keys else Task(entry.name, ())
        erased = entry.erased + entry.left - len(left.train) - len(left.test)
        if erased != entry.erased:
            counts[entry.name] = counts.get(entry.name, 0) + erased - entry.erased
        return entry.model_copy(update={"erased": erased})

    entries = {
        "tasks": tuple(map(after, ledger.tasks)),
        # Nothing is left to learn of a waiting task that lost all its train examples.
        "pending": tuple(e for e in map(after, ledger.pending) if e.key in keys and len(store.task(e.key).train)),
        "discarded": tuple(
            group.model_copy(update={"tasks": tuple(map(after, group.tasks))}) for group in ledger.discarded
        ),
    }
    return entries, counts


def _notes(opened: OpenWorkspace, found: Erasable, others: OtherFiles) -> tuple[str, ...]:
    """What isn't looked at, or stays though it is found."""
    notes, ledger = _foreign(opened.path, others, Scrubber(found)), opened.ledger
    if found.matches is not None:
        if ledger.keep != "examples" and ledger.tasks:
            notes.append(
                f"this workspace keeps {ledger.keep}, so the expression was not searched for in train examples of the "
                "tasks that were learned, and models trained on such examples are not named"
            )
        if found.unknown:
            notes.append(
                f"{found.unknown} examples that stay were made from rows that this workspace doesn't hold, so the "
                "expression was not searched for in those rows"
            )
        entries = [*ledger.tasks, *(one for group in ledger.discarded for one in group.tasks)]
        named = sorted({entry.name for entry in entries if found.matches(entry.name)})
        if named:
            notes.append(f"names of tasks stay, and these are found too: {', '.join(named)}")
    if (opened.path / "logs").exists():
        notes.append("logs of trackers in `logs` were left alone; inscl writes no texts there")
    return tuple(notes)


def _foreign(path: Path, others: OtherFiles, scrubber: Scrubber) -> list[str]:
    """Which files of others hold what goes, or can't be read; they are left alone."""
    held: list[str] = []
    unread: list[str] = []
    for file in others.foreign:
        try:
            if scrubber.found_in(file.read_bytes()):
                held.append(str(file.relative_to(path)))
        except OSError:
            unread.append(str(file.relative_to(path)))
    notes = []
    if held:
        notes.append(f"files that aren't inscl's hold erased text and were left alone: {', '.join(held)}")
    if unread:
        notes.append(f"files that aren't inscl's can't be read, so nobody looked into them: {', '.join(unread)}")
    return notes
