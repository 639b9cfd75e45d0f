"""What an erasure removes: the requested examples, everything made from them, and texts that only those had."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from inscl.contract import Example, Task
from inscl.contract.erased import Erased
from inscl.contract.refined import parents_of
from inscl.data.refined import REJECTED
from inscl.storage.memory.store import MemoryStore
from inscl.storage.run.stage_record import Record

__all__ = ["LONG", "Erasable", "as_one_text", "strings", "what_goes"]

LONG = 16
"""A text of so many characters that equals an erased one is that text; a shorter one may be anybody's."""

Place = tuple[str, str, int]
"""Where an example stands in the memory: the key of its task, its split, its number there."""

_ID = re.compile("[0-9a-f]{16}")


@dataclass
class Erasable:
    """What is removed: whole tasks or matching examples, and every example that was made from a removed one.

    Attributes:
        names: Tasks that go whole.
        keys: Their keys in the memory.
        matches: Finds the texts that go; None where tasks go whole.
        ids: Of everything that goes.
        shared: Those of them that an example has which stays, in a task that doesn't go.
        parents: Those of them that others were made from.
        examples: Key of a task -> how many of its examples go.
        trained: Key of a task -> how many of those are train examples.
        made: How many of the examples go because of what they were made from.
        unknown: How many examples that stay were made from rows that are nowhere in the workspace.
        thinned: Names of tasks that lose train examples: what a model wrote from their descriptions goes, too.
        tested: Ids of test examples that go because of what they were made from.
        texts: By which rows of training files and answers are found; no example that stays has them.
        instructions: That no example has any more.
        prompts: Whole prompts, likewise.
        embedded: What else a cache may hold, likewise.
        tags: Tags that only erased instructions had.
        pictures: Digests of pictures that no example that stays asks about.
    """

    names: frozenset[str]
    keys: frozenset[str]
    matches: Callable[[str], bool] | None
    ids: set[str] = field(default_factory=set)
    shared: set[str] = field(default_factory=set)
    parents: set[str] = field(default_factory=set)
    examples: dict[str, int] = field(default_factory=dict)
    trained: dict[str, int] = field(default_factory=dict)
    made: int = 0
    unknown: int = 0
    thinned: set[str] = field(default_factory=set)
    tested: set[str] = field(default_factory=set)
    texts: set[str] = field(default_factory=set)
    instructions: set[str] = field(default_factory=set)
    prompts: set[str] = field(default_factory=set)
    embedded: set[str] = field(default_factory=set)
    tags: set[str] = field(default_factory=set)
    pictures: set[str] = field(default_factory=set)

    @property
    def erased(self) -> Erased:
        """What a learner that keeps examples has to forget."""
        return Erased(self.names, self.ids - self.shared, self.instructions)

    def found(self, text: Any) -> bool:
        """Whether a text is matched."""
        return self.matches is not None and isinstance(text, str) and self.matches(text)

    def asked(self, key: str, example: Example) -> bool:
        """Whether an example of the task `key` goes for its own sake."""
        return key in self.keys or any(map(self.found, example.texts))

    def descends(self, provenance: Any) -> bool:
        """Whether what has this provenance was made from something that goes."""
        return isinstance(provenance, Mapping) and not self.parents.isdisjoint(parents_of(provenance))

    def undescribes(self, task: str, provenance: Any) -> bool:
        """Whether what has this provenance was written from the description of a task that loses train examples."""
        return isinstance(provenance, Mapping) and bool(provenance.get("described")) and task in self.thinned

    def takes(self, example: Example) -> bool:
        """Whether an example of a task that doesn't go whole goes."""
        return self.descends(example.provenance) or any(map(self.found, example.texts))

    def asked_rejected(self, row: Mapping[str, Any]) -> bool:
        """Whether a row that was set aside goes for its own sake, or for what is quoted beside it."""
        if self.names:
            # Nothing tells of which task a row without one would have been.
            return row.get("task") in (None, *self.names)
        example = _example(row)
        said = (text for text in strings(_facts(row)) if not _ID.fullmatch(text))
        return any(map(self.found, chain(example.texts if example else strings(row.get("row")), said)))

    def takes_rejected(self, row: Mapping[str, Any]) -> bool:
        """Whether a row that was set aside goes; one that names an example that goes may quote it."""
        example = _example(row)
        descends = example is not None and self.descends(example.provenance)
        return descends or not self.ids.isdisjoint(strings(_facts(row))) or self.asked_rejected(row)

    def take(self, place: Place, example: Example) -> None:
        """Count and take down an example of the memory that goes."""
        key, split, _ = place
        self.examples[key] = self.examples.get(key, 0) + 1
        self.trained[key] = self.trained.get(key, 0) + (split == "train")
        self.note(example)

    def note(self, example: Example) -> None:
        """Take down the texts of an example that goes."""
        self.instructions.add(example.instruction)
        self.prompts.add(example.prompt)
        self.embedded.update((example.prompt, example.input, *example.outputs))
        self.texts.update(_texts(example))
        self.pictures.update(image.digest for image in example.images)

    def leave(self, example: Example) -> None:
        """Take off the texts that an example that stays has too."""
        self.tested.discard(example.id)
        self.shared.update({example.id} & self.ids)
        for kept in (self.texts, self.instructions, self.prompts, self.embedded):
            kept.difference_update((example.instruction, example.prompt, example.input, *example.outputs))
        self.texts.difference_update(_texts(example))
        self.pictures.difference_update(image.digest for image in example.images)


def what_goes(store: MemoryStore, records: Iterable[Record], found: Erasable, begun: Sequence[str] = ()) -> Erasable:
    """Fill in `found` by what the memory and the rows that were set aside hold.

    Args:
        store: The memory.
        records: All stages, one that is begun included.
        found: What was asked for.
        begun: Parents that were told when this erasure was begun, and may be gone by now.
    """
    tasks = {key: store.task(key) for key in store.keys()}  # noqa: SIM118 - not a mapping
    records = list(records)
    rejected = [row for record in records if record.has(REJECTED) for row in record.rows(REJECTED)]
    gone = _follow(found, tasks, rejected, begun)
    # Most workspaces have nothing that a refiner made: their rows are read once less.
    for place, example in _examples(tasks) if found.parents else ():
        if place not in gone and found.descends(example.provenance):
            gone.add(place)
            found.take(place, example)
            found.made += 1
            found.tested.update([example.id] if place[1] == "test" else [])
    for one in filter(None, map(_example, filter(found.takes_rejected, rejected))):
        found.note(one)
    found.thinned = {tasks[key].name for key, count in found.trained.items() if count}
    for one in _written_from(found, records) if found.thinned else ():
        found.ids.add(one.id)  # a learner may keep it in its state
        found.note(one)
    for place, example in _examples(tasks) if found.prompts else ():
        if place not in gone:
            found.leave(example)
    found.texts |= found.instructions
    known = store.memory(tasks.values()).tags
    kept_tags = {tag for text, tags in known.items() if text not in found.instructions for tag in tags}
    found.tags = {tag for text in found.instructions for tag in known.get(text, ())} - kept_tags
    return found


def _follow(
    found: Erasable, tasks: Mapping[str, Task], rejected: Sequence[Mapping[str, Any]], begun: Sequence[str]
) -> set[Place]:
    """Take what was asked for, and find the ids of all that goes; returns where in the memory that stands.

    Ids are those of what was asked for, of what was made from that, and so on.
    """
    gone: set[Place] = set()
    made: list[tuple[str, tuple[str, ...]]] = []
    found.ids.update(begun)
    for place, example in _examples(tasks):
        if found.asked(place[0], example):
            gone.add(place)
            found.take(place, example)
            found.ids.add(example.id)
        elif example.provenance:
            made.append((example.id, parents_of(example.provenance)))
    in_memory = len(made)
    for row in rejected:
        if (one := _example(row)) is None:
            continue
        if found.asked_rejected(row):
            found.ids.add(one.id)
        elif one.provenance:
            made.append((one.id, parents_of(one.provenance)))
    while fresh := {one for one, parents in made if one not in found.ids and not found.ids.isdisjoint(parents)}:
        found.ids |= fresh
    found.parents = found.ids.intersection(chain(begun, *(parents for _, parents in made)))
    missing = {parent for _, parents in made for parent in parents}.difference(
        *(chain(task.train_ids, task.test_ids) for task in tasks.values()), (str(row.get("id")) for row in rejected)
    )
    stay = (parents for _, parents in made[:in_memory] if found.parents.isdisjoint(parents))
    found.unknown = sum(not missing.isdisjoint(parents) for parents in stay)
    return gone


def _examples(tasks: Mapping[str, Task]) -> Iterator[tuple[Place, Example]]:
    for key, task in tasks.items():
        for split in ("train", "test"):
            for number, example in enumerate(getattr(task, split)):
                yield (key, split, number), example


def _written_from(found: Erasable, records: Iterable[Record]) -> Iterator[Example]:
    """What stages replayed that was written from the description of a task that loses train examples."""
    for record in records:
        for row in record.rows("replay.jsonl") if (record.path / "replay.jsonl").exists() else ():
            if found.undescribes(str(row.get("task", "")), row.get("provenance")):
                yield Example.from_json(row)


def _example(row: Mapping[str, Any]) -> Example | None:
    """The example in a row that a refiner set aside; None for a row that couldn't be read."""
    return Example.from_json(row["row"]) if "refiner" in row else None


def _facts(row: Mapping[str, Any]) -> Mapping[str, Any]:
    return {name: value for name, value in row.items() if name not in ("file", "task", "refiner", "row")}


def _texts(example: Example) -> list[str]:
    """By which an example is found in a training file, and an answer that repeats it."""
    # A system turn may be anybody's.
    said = [turn.content for turn in example.turns if turn.role != "system"]
    long = [text for text in (example.input, *example.outputs, *said) if len(text) >= LONG]
    return [*([example.prompt] if example.input else []), *long, *_conversations(example)]


def _conversations(example: Example) -> list[str]:
    """A conversation, whole and up to each of the user's turns, as a training file may have it."""
    turns = [(turn.role, turn.content) for turn in example.turns]
    ends = [number + 1 for number, (role, _) in enumerate(turns) if role == "user"]
    return [as_one_text(content for _, content in turns[:end]) for end in ends if end > 1]


def as_one_text(turns: Iterable[str]) -> str:
    """A conversation as the text by which it is found again; apart from any text that is a single turn."""
    return "\0".join(["", *turns])


def strings(value: Any) -> Iterator[str]:
    """Every text in a JSON value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from strings(inner)
