"""The right to erasure: text goes from every file of a workspace and from the user's caches; numbers stay."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from inscl.contract import Example, Task
from inscl.engine.open_run import OpenWorkspace
from inscl.engine.parts import Parts
from inscl.errors import InsclError, UserError, nearest
from inscl.storage.files.cache import cache_dir, forget
from inscl.storage.files.event_log import note
from inscl.storage.files.integrity import content_digest
from inscl.storage.files.provenance import now
from inscl.storage.run.ledger import Event, LearnedTask, Ledger, Unfinished
from inscl.tagging.cached import decode_tags
from inscl.workspace.lineage import StageFolder, TrainedStage, stage_folders, trained_on
from inscl.workspace.other_files import OtherFiles
from inscl.workspace.plain import Plain
from inscl.workspace.scrubbing import LONG, Scrubber, as_one_text

__all__ = ["Erasure", "erase"]


@dataclass(frozen=True)
class Erasure(Plain):
    """What `erase` took away, or would.

    Attributes:
        dry_run: Whether nothing was changed.
        examples: Task -> examples that went.
        files: Files of the workspace that were rewritten or deleted.
        cached: Entries that went from the user's caches of embeddings and tags.
        trained: Stages whose model was trained on what was erased; their weights stay.
        notes: What the user should read.
    """

    dry_run: bool
    examples: Mapping[str, int]
    files: int
    cached: int
    trained: tuple[TrainedStage, ...]
    notes: tuple[str, ...] = ()


@dataclass
class _Target:
    """What goes: tasks whole, or examples that are matched; `embedded` is what a cache may hold of them."""

    entries: list[LearnedTask]
    names: frozenset[str]
    matches: Callable[[str], bool] | None
    examples: dict[str, list[Example]] = field(default_factory=dict)
    trained: dict[str, int] = field(default_factory=dict)
    texts: set[str] = field(default_factory=set)
    instructions: set[str] = field(default_factory=set)
    prompts: set[str] = field(default_factory=set)
    embedded: set[str] = field(default_factory=set)
    tags: set[str] = field(default_factory=set)


def erase(opened: OpenWorkspace, task: str | None = None, match: str | None = None, dry_run: bool = False) -> Erasure:
    """Delete examples, and everything that was written of them.

    That is: the memory with vectors and tags, answers, plans and replayed rows of every stage, rows that were set
    aside, reports, stages that were rolled back, and the user's caches of embeddings and tags. Scores, counts, names of
    tasks and weights stay; the stages whose weights were trained on what went are named.

    Args:
        opened: The workspace, held for writing unless nothing is changed.
        task: Whose examples; of every task of that name, rolled back ones included.
        match: A regular expression; an example goes if it is found in its instruction, its input, the prompt of both,
            one of its references or where it came from. Answers of the model go likewise.
        dry_run: Change nothing.

    Raises:
        UserError: Neither or both are given, no such task, the expression is wrong, or another erasure was begun and
            not finished.
        WorkspaceError: A file can't be read or written; give the same command again.
    """
    if (task is None) == (match is None):
        raise UserError("say what to erase: the name of a task, or --match REGEX")
    matches = None if match is None else _matcher(match)
    begun, found = _begun(opened.ledger, task, match), _target(opened, task, matches)
    if dry_run:
        return _look(opened, found, begun)
    folders, scrubber, others = stage_folders(opened), _scrubber(found), OtherFiles.of(opened.path)
    trained = _trained(opened, folders, found, begun)
    foreign = _foreign(opened.path, others, scrubber)
    opened.commit(erasing=begun.model_copy(update={"trained": tuple(one.to_json() for one in trained)}))
    _clear_unfinished(opened)
    files = scrubber.clean(opened.path, folders, others)
    cached = _clean_caches(opened, found)
    held = set(opened.memory.keys())
    opened.memory.erase([entry.key for entry in found.entries if entry.key in held], matches)
    entries, counts = _counted(opened, found)
    stages = [f"{one.stage} {one.task}" for one in trained if one.discarded is None]
    facts = {"task": task, "match": match is not None, "examples": counts, "stages": stages}
    event = Event(when=now(), what="erased", facts=facts)
    opened.commit(erasing=False, history=(*opened.ledger.history, event), **entries)
    opened.write_overview()
    # By name alone where the user named a task: an expression may be what must not be found any more.
    said = f"erased: {task or 'by expression'}; {sum(counts.values())} examples; models: {', '.join(stages)}"
    note(opened.path, said)
    return Erasure(False, counts, files, cached, trained, (*foreign, *_notes(opened, found)))


def _look(opened: OpenWorkspace, found: _Target, begun: Unfinished) -> Erasure:
    trained = _trained(opened, stage_folders(opened), found, begun)
    names = {entry.key: entry.name for entry in found.entries}
    counts: dict[str, int] = {}
    for key, examples in found.examples.items():
        counts[names[key]] = counts.get(names[key], 0) + len(examples)
    return Erasure(True, counts, 0, 0, trained, _foreign(opened.path, OtherFiles.of(opened.path), _scrubber(found)))


def _begun(ledger: Ledger, task: str | None, match: str | None) -> Unfinished:
    """This erasure as it was begun before, or anew; another one waits until the one that was begun is finished."""
    asked = Unfinished(task=task, match=None if match is None else content_digest(match))
    before = ledger.erasing
    if not isinstance(before, Unfinished):
        return asked
    if (before.task, before.match) != (asked.task, asked.match):
        which = "the same --match" if before.task is None else repr(before.task)
        raise UserError(f"another erasure was begun and not finished: give `inscl erase` with {which} first")
    return before


def _trained(
    opened: OpenWorkspace, folders: Sequence[StageFolder], found: _Target, begun: Unfinished
) -> tuple[TrainedStage, ...]:
    """The stages trained on what goes: those told when it was begun, and those that came since."""
    told = [TrainedStage(**one) for one in begun.trained]
    known = {(one.discarded, one.stage, one.task) for one in told}
    now_found = trained_on(folders, opened.settings, found.trained, _scrubber(found).replayed)
    return (*told, *(one for one in now_found if (one.discarded, one.stage, one.task) not in known))


def _matcher(match: str) -> Callable[[str], bool]:
    try:
        pattern = re.compile(match)
    except re.error as error:
        raise UserError(f"--match is not a regular expression: {error}") from error
    if pattern.search(""):
        raise UserError("--match finds the empty text, so it would erase everything; say more")
    return lambda text: pattern.search(text) is not None


def _target(opened: OpenWorkspace, task: str | None, matches: Callable[[str], bool] | None) -> _Target:
    """Find what goes, and what only that had: texts, instructions, tags."""
    ledger, store = opened.ledger, opened.memory
    entries = [*ledger.tasks, *ledger.pending, *(one for group in ledger.discarded for one in group.tasks)]
    if task is not None:
        names = list(dict.fromkeys(entry.name for entry in entries))
        going_on = isinstance(ledger.erasing, Unfinished) and ledger.erasing.task == task
        if task not in names and not going_on:  # begun, and then pruned
            raise UserError(f"no task {task!r}{nearest(task, names)}")
        entries = [entry for entry in entries if entry.name == task]
    found = _Target(entries, frozenset([task] if task else []), matches)
    kept_instructions: set[str] = set()
    keys, mine = store.keys(), {entry.key for entry in entries}
    for key in keys:
        kept_instructions |= _look_through(found, key, store.task(key), key in mine)
    found.instructions -= kept_instructions
    found.prompts -= kept_instructions
    found.embedded -= kept_instructions
    found.texts |= found.instructions
    known = store.memory([store.task(key) for key in keys]).tags
    kept_tags = {tag for text, tags in known.items() if text not in found.instructions for tag in tags}
    found.tags = {tag for text in found.instructions for tag in known.get(text, ())} - kept_tags
    return found


def _look_through(found: _Target, key: str, task: Task, mine: bool) -> set[str]:
    """Note what goes of one task; returns the instructions of what stays."""
    if not mine:
        return {text for split in (task.train, task.test) for text in _instructions(split)}
    stay: set[str] = set()
    gone: list[Example] = []
    for split in (task.train, task.test):
        for example in split:
            if found.matches is None or any(map(found.matches, example.texts)):
                gone.append(example)
                found.trained[key] = found.trained.get(key, 0) + (split is task.train)
                found.instructions.add(example.instruction)
                found.prompts.add(example.prompt)
                found.embedded.update((example.prompt, example.input, *example.outputs))
                found.texts.update([example.prompt] if example.input else [])
                # A system turn may be anybody's, too.
                said = [turn.content for turn in example.turns if turn.role != "system"]
                found.texts.update(text for text in (example.input, *example.outputs, *said) if len(text) >= LONG)
                found.texts.update(_conversations(example))
            else:
                stay.add(example.instruction)
    if gone:
        found.examples[key] = gone
    return stay


def _conversations(example: Example) -> list[str]:
    """A conversation, whole and up to each of the user's turns, as a training file may have it."""
    turns = [(turn.role, turn.content) for turn in example.turns]
    ends = [number + 1 for number, (role, _) in enumerate(turns) if role == "user"]
    return [as_one_text(content for _, content in turns[:end]) for end in ends if end > 1]


def _instructions(split: object) -> set[str]:
    # A split on disk knows its instructions without reading its rows.
    counts = getattr(split, "instruction_counts", None)
    return set(counts) if counts is not None else {example.instruction for example in split}  # type: ignore[attr-defined]


def _scrubber(found: _Target) -> Scrubber:
    return Scrubber(found.names, found.matches, frozenset(found.texts), frozenset(found.prompts), frozenset(found.tags))


def _clear_unfinished(opened: OpenWorkspace) -> None:
    """A stage that is begun holds answers and plans; it is done again without what went."""
    for entry in opened.ledger.pending[:1]:
        shutil.rmtree(opened.next_record(entry.name).path, ignore_errors=True)


def _clean_caches(opened: OpenWorkspace, found: _Target) -> int:
    """Delete what the user's caches hold of the texts and tags that went."""
    prints = _fingerprints(opened)
    folder = cache_dir()

    def goes(value: bytes) -> bool:
        try:
            tags = decode_tags(value)
        except ValueError:
            return True  # damaged, and so computed again anyway
        return any(tag in found.tags or (found.matches is not None and found.matches(tag)) for tag in tags)

    # Strategies embed instructions or whole prompts, and one of somebody's own whatever it likes.
    texts = found.instructions | found.embedded | found.tags
    gone = forget(folder / "embeddings.sqlite", texts, prints)
    return gone + forget(folder / "tags.sqlite", found.instructions, prints, goes)


def _fingerprints(opened: OpenWorkspace) -> list[str]:
    """Of the embedders and taggers that the stages were planned with, as far as they can be told."""
    ledger = opened.ledger
    former = [task for group in ledger.discarded for task in group.tasks]
    found = []
    for changes in {(), *(task.settings for task in (*ledger.tasks, *ledger.pending, *former))}:
        parts = Parts.of(opened.settings_with(changes))
        for name in ("embedder", "tag_embedder", "tagger"):
            try:
                found.append(getattr(getattr(parts, name), "fingerprint", None))
            except InsclError:
                # Its extra or its model is gone; the cache file names its producers itself.
                continue
    return [one for one in found if one]


def _counted(opened: OpenWorkspace, found: _Target) -> tuple[dict[str, Any], dict[str, int]]:
    """The ledger's tasks after the erasure, with what each lost in all; and what each lost now."""
    ledger, store = opened.ledger, opened.memory
    keys, mine = set(store.keys()), {entry.key for entry in found.entries}
    counts: dict[str, int] = {}

    def after(entry: LearnedTask) -> LearnedTask:
        if entry.key not in mine:
            return entry
        left = store.task(entry.key) if entry.key in keys else Task(entry.name, ())
        erased = entry.train + entry.test - len(left.train) - len(left.test)
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


def _foreign(path: Path, others: OtherFiles, scrubber: Scrubber) -> tuple[str, ...]:
    """Which files of others hold what goes, or can't be read; they are left alone."""
    held: list[str] = []
    unread: list[str] = []
    for file in others.foreign:
        try:
            if scrubber.found_in(file):
                held.append(str(file.relative_to(path)))
        except OSError:
            unread.append(str(file.relative_to(path)))
    notes = []
    if held:
        notes.append(f"files that aren't inscl's hold erased text and were left alone: {', '.join(held)}")
    if unread:
        notes.append(f"files that aren't inscl's can't be read, so nobody looked into them: {', '.join(unread)}")
    return tuple(notes)


def _notes(opened: OpenWorkspace, found: _Target) -> tuple[str, ...]:
    ledger, notes = opened.ledger, []
    if found.matches is not None:
        entries = [*ledger.tasks, *(one for group in ledger.discarded for one in group.tasks)]
        named = sorted({entry.name for entry in entries if found.matches(entry.name)})
        if named:
            notes.append(f"names of tasks stay, and these are found too: {', '.join(named)}")
    if (opened.path / "logs").exists():
        notes.append("logs of trackers in `logs` were left alone; inscl writes no texts there")
    return tuple(notes)
