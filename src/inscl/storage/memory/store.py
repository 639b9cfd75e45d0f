"""The memory on disk: the learned data in Lance tables with one commit point."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from inscl.contract import Example, Memory, Task
from inscl.contract.made import MadeOfTasks
from inscl.errors import DataError, WorkspaceError
from inscl.storage.memory import facts as memory_facts
from inscl.storage.memory.catalog import CATALOG, RESTORE, Catalog, TaskEntry
from inscl.storage.memory.checksums import Checksums
from inscl.storage.memory.facts import Facts, KeptFacts, Tags, Vectors
from inscl.storage.memory.lazy_examples import TaskRows
from inscl.storage.memory.neighbours import keep_neighbours, read_neighbours
from inscl.storage.memory.per_task import SUMMARIES, TAGGED
from inscl.storage.memory.picture_table import PictureTable
from inscl.storage.memory.place import Place, failures_told, is_failure
from inscl.storage.memory.rows import append_task
from inscl.storage.memory.table import Table

__all__ = ["Erased", "MemoryStore"]

Tables = Mapping[str, Table]
_T = TypeVar("_T")
_TABLES: Mapping[str, type[Table]] = {
    "examples": Table,
    "instructions": Table,
    "facts": Table,
    "summaries": Table,
    "tagged": Table,
    "neighbours": Table,
    "pictures": PictureTable,
}


@dataclass(frozen=True)
class Erased:
    """What an erasure removed.

    Attributes:
        examples: Key of a task -> examples it lost, train and test together; tasks that lost none are absent.
        instructions: Instructions whose vectors and tags went.
    """

    examples: dict[str, int] = field(default_factory=dict)
    instructions: tuple[str, ...] = ()


class MemoryStore:
    """Examples of the tasks learned, and vectors and tags of their instructions.

    One process writes at a time (`inscl.storage.files.lock`), any number read, and reading writes nothing. A write
    counts when ``memory.json`` names what it wrote, so that a process killed at any instant leaves the old state or the
    new one. What went wrong is a WorkspaceError in every method: the store can't be read or written, a file is damaged
    (it is named), or a newer inscl wrote it.

    Args:
        path: A folder, or a URI that Lance opens, as in ``s3://bucket/memory``. Made when first written to.
    """

    def __init__(self, path: Path | str) -> None:
        self.place = Place(path)
        self._parsed: tuple[bytes, Catalog] | None = None
        # Opened tables, by what the catalog says of them: tasks share them, and they go on being read.
        self._shared: tuple[Mapping[str, int], dict[str, Table]] | None = None

    def keys(self) -> tuple[str, ...]:
        """Keys of the tasks kept, in the order in which they were added."""
        return tuple(self._catalog().tasks)

    def task(self, key: str) -> Task:
        """A task whose splits are read as they are asked for.

        They can be read as long as the task isn't dropped, erased or replaced, whatever else is written meanwhile.

        Raises:
            WorkspaceError: Nothing is kept under that key.
        """
        return self._reading(lambda catalog, tables: self._rows(catalog, key, tables).task())

    def memory(self, tasks: Iterable[Task]) -> Memory:
        """The memory after `tasks`, with whatever is known of them.

        Vectors and tags of instructions are read when they are looked at, and are then those that are kept at that
        time: whoever plans from summaries never reads them.
        """
        learned = tuple(tasks)
        texts = lambda: {text for task in learned for text in task.instructions}  # noqa: E731
        vectors: KeptFacts[NDArray[np.float32]] = KeptFacts(self._facts, texts, 0)
        tags: KeptFacts[tuple[str, ...]] = KeptFacts(self._facts, texts, 1)

        def read(catalog: Catalog, tables: Tables) -> Memory:
            names = {key: entry.name for key, entry in catalog.tasks.items()}
            summaries, tagged = SUMMARIES.read(tables["summaries"]), TAGGED.read(tables["tagged"])
            return Memory(
                learned,
                vectors,
                tags,
                summaries={names[key]: one for key, one in summaries.items() if key in names},
                tagged={names[key]: one for key, one in tagged.items() if key in names},
                neighbours=read_neighbours(tables["neighbours"]),
            )

        return self._reading(read)

    def _facts(self, texts: Collection[str] | None) -> Facts:
        return self._reading(lambda catalog, tables: memory_facts.read_facts(tables["facts"], texts))

    def with_pictures(self, example: Example) -> Example:
        """An example as a record of a stage has it, with the bytes of its pictures, if they are still kept."""
        if not example.images:
            return example
        return self._reading(lambda catalog, tables: _pictures(tables).with_content(example))

    def add(self, key: str, task: Task, vectors: Vectors, tags: Tags) -> None:
        """Keep a task, both splits; what stands under `key` is replaced. A reader sees all of it or nothing."""
        with failures_told(self.place):
            catalog, tables = self._open()
            tasks = dict(catalog.tasks)
            if (replaced := tasks.pop(key, None)) is not None:
                _remove(tables, [replaced])
                _forget_made(tables, [key])
            tasks[key] = _append(key, task, tables)
            if replaced is not None:
                _release(tasks.values(), tables)
            memory_facts.learn(tables["facts"], vectors, tags)
            self._commit(tasks, tables)
        self._clean(tables)

    def replace_train(self, key: str, train: Sequence[Example]) -> None:
        """Let other examples take the place of a task's train split, so that no file of the store holds the old ones.

        Instructions that no example carries any more lose their vectors and tags, and the task loses its summary.
        """
        with failures_told(self.place):
            catalog, tables = self._open()
            rows = self._rows(catalog, key, self._tables(catalog))
            task = rows.task()
            tasks = dict(catalog.tasks)
            _pictures(tables).add(train)
            tasks[key] = append_task(key, task.name, task.max_new_tokens, train, task.test, tables)
            _remove(tables, [catalog.tasks[key]])
            _forget_made(tables, [key])
            _release(tasks.values(), tables)
            _forget(tasks.values(), tables, set(rows.texts))
            self._commit(tasks, tables)
        self._clean(tables)

    def learn_facts(self, vectors: Vectors, tags: Tags) -> None:
        """Keep vectors and tags of instructions; what was known of others, or of the other kind, stays."""
        with failures_told(self.place):
            catalog, tables = self._open()
            memory_facts.learn(tables["facts"], vectors, tags)
            self._commit(catalog.tasks, tables)
        self._clean(tables)

    def keep_made(self, made: MadeOfTasks, names: Mapping[str, str]) -> None:
        """Keep what planning made of tasks, for later plans.

        Args:
            made: What it made, by names of tasks.
            names: Name of a task -> its key; tasks without one, or that nothing stands under, are passed over.
        """
        with failures_told(self.place):
            catalog, tables = self._open()
            keys = {name: key for name, key in names.items() if key in catalog.tasks}
            SUMMARIES.keep(tables["summaries"], {keys[n]: one for n, one in made.summaries.items() if n in keys})
            TAGGED.keep(tables["tagged"], {keys[n]: one for n, one in made.tagged.items() if n in keys})
            if made.neighbours is not None:
                keep_neighbours(tables["neighbours"], made.neighbours)
            self._commit(catalog.tasks, tables)
        self._clean(tables)

    def drop(self, keys: Iterable[str]) -> None:
        """Delete tasks, on the disk too, with vectors and tags of instructions that no other task has.

        Keys that nothing stands under are passed over. A task whose files are damaged can be dropped; what is known of
        its instructions stays if they can't be read.
        """
        gone = set(keys)
        with failures_told(self.place):
            catalog, tables = self._open()
            dropped = [entry for key, entry in catalog.tasks.items() if key in gone]
            tasks = {key: entry for key, entry in catalog.tasks.items() if key not in gone}
            was: set[str] = set()
            for entry in dropped:
                with suppress(WorkspaceError):
                    was.update(_rows_of(entry, tables).texts)
            _remove(tables, dropped)
            _forget_made(tables, gone)
            with suppress(WorkspaceError):  # what others ask about isn't known while they can't be read
                _release(tasks.values(), tables)
            if was:
                _forget(tasks.values(), tables, was)
            self._commit(tasks, tables)
        self._clean(tables)

    def erase(
        self,
        keys: Collection[str],
        goes: Callable[[Example], bool] | None = None,
        matches: Callable[[str], bool] | None = None,
    ) -> Erased:
        """Delete examples so that no file of the store holds their text any more.

        Instructions that no example carries any more lose their vectors and tags. The names of tasks that stay are not
        looked at, and what is in memory already is not taken away from whoever holds it.

        Args:
            keys: Of tasks that go whole.
            goes: Which examples of the other tasks go; None means none.
            matches: Of which other instructions, too, vectors and tags go.
        """
        with failures_told(self.place):
            catalog, tables = self._open()
            tasks, lost, was = dict(catalog.tasks), {}, set[str]()
            for key in [key for key in catalog.tasks if goes is not None or key in keys]:
                whole = key in keys
                rows = self._rows(catalog, key, self._tables(catalog))
                task = rows.task()
                left_out = [_going(split, None if whole else goes) for split in (task.train, task.test)]
                if not whole and not any(left_out):
                    continue
                was.update(rows.texts)
                lost[key] = sum(map(len, left_out))
                del tasks[key]
                if not whole:
                    kept = _Without(task.train, left_out[0]), _Without(task.test, left_out[1])
                    tasks[key] = append_task(key, task.name, task.max_new_tokens, *kept, tables)
                _remove(tables, [catalog.tasks[key]])
            _forget_made(tables, lost)
            _release(tasks.values(), tables)
            gone = _forget(tasks.values(), tables, was, matches)
            if gone:
                tables["neighbours"].remove_all()
            self._commit({key: tasks[key] for key in catalog.tasks if key in tasks}, tables)
        self._clean(tables)
        return Erased({key: count for key, count in lost.items() if count}, gone)

    def verify(self) -> list[str]:
        """Files that are not as they were written, each with what is wrong with it; every byte is read.

        On object storage, which keeps checksums of its own, every row is read and compared with its checksum instead.
        """
        try:
            catalog = self._catalog()
            found = Checksums(self.place.local, catalog.files).damaged()
            if self.place.local is None:
                for key in catalog.tasks:
                    task = self.task(key)
                    _ = [task.instruction_index, task.train_ids]
                    examples = (example for split in (task.train, task.test) for example in split)
                    _ = [len(image.content) for example in examples for image in example.images]
                self.memory([])
                self._facts(None)
        except (WorkspaceError, DataError) as error:
            return [str(error)]
        return found

    def _catalog(self) -> Catalog:
        found = self.place.read(CATALOG)
        if found is None:
            # The first write begins with an empty catalog, so that tables without one have lost it.
            if any(map(self.place.holds, _TABLES)):
                raise WorkspaceError(f"{self.place}/{CATALOG} is missing, and tables are there: {RESTORE}")
            return Catalog()
        if self._parsed is None or self._parsed[0] != found:
            self._parsed = (found, Catalog.of(self.place, found))
        return self._parsed[1]

    def _tables(self, catalog: Catalog) -> dict[str, Table]:
        checksums = Checksums(self.place.local, catalog.files)
        return {name: made(self.place, name, catalog.versions.get(name), checksums) for name, made in _TABLES.items()}

    def _reading(self, read: Callable[[Catalog, Tables], _T]) -> _T:
        """Read one committed state; once more if another process committed, and cleaned up, in between."""
        while True:
            catalog = self._catalog()
            if self._shared is None or self._shared[0] != catalog.versions:
                self._shared = (catalog.versions, self._tables(catalog))
            try:
                return read(catalog, self._shared[1])
            except WorkspaceError:
                if self._catalog().versions == catalog.versions:
                    raise

    def _rows(self, catalog: Catalog, key: str, tables: Tables) -> TaskRows:
        if key not in catalog.tasks:
            raise WorkspaceError(f"the memory {self.place} has no task under {key!r}")
        return _rows_of(catalog.tasks[key], tables)

    def _open(self) -> tuple[Catalog, dict[str, Table]]:
        """The committed state to write on."""
        catalog = self._catalog()
        if not catalog.tasks and not catalog.versions:
            self.place.write(CATALOG, catalog.to_text())
        return catalog, self._tables(catalog)

    def _commit(self, tasks: Mapping[str, TaskEntry], tables: Tables) -> None:
        for table in tables.values():
            table.settle()
        versions = {name: table.version for name, table in tables.items() if table.version is not None}
        paths = [path for table in tables.values() for path in table.files()]
        files = tables["examples"].checksums.of(paths)
        self.place.write(CATALOG, Catalog(tasks, versions, files).to_text())

    def _clean(self, tables: Tables) -> None:
        try:
            for table in tables.values():
                table.clean()
            self.place.clean(CATALOG)
        except BaseException as error:
            if not is_failure(error):
                raise
            raise WorkspaceError(
                f"the memory {self.place} is written, but what it held before can't be deleted: {error}. The next "
                "write deletes it."
            ) from error


def _append(key: str, task: Task, tables: Tables) -> TaskEntry:
    _pictures(tables).add(example for split in (task.train, task.test) for example in split)
    return append_task(key, task.name, task.max_new_tokens, task.train, task.test, tables)


def _rows_of(entry: TaskEntry, tables: Tables) -> TaskRows:
    return TaskRows(entry, tables["examples"], tables["instructions"], _pictures(tables))


def _pictures(tables: Tables) -> PictureTable:
    return cast(PictureTable, tables["pictures"])


def _remove(tables: Tables, entries: Iterable[TaskEntry]) -> None:
    for entry in entries:
        tables["examples"].remove(number for number, _ in entry.examples)
        tables["instructions"].remove(number for number, _ in entry.instructions)


def _release(tasks: Iterable[TaskEntry], tables: Tables) -> None:
    """Drop the pictures that no task asks about any more."""
    if tables["pictures"].count_fragments():
        _pictures(tables).keep_only({digest for entry in tasks for digest in _rows_of(entry, tables).pictures})


def _forget_made(tables: Tables, keys: Collection[str]) -> None:
    """Drop what planning made of some tasks. Of which task a tag came isn't known, so that all neighbours go."""
    SUMMARIES.forget(tables["summaries"], keys)
    TAGGED.forget(tables["tagged"], keys)
    if keys:
        tables["neighbours"].remove_all()


def _forget(
    tasks: Iterable[TaskEntry], tables: Tables, was: Collection[str], matches: Callable[[str], bool] | None = None
) -> tuple[str, ...]:
    """Drop what is known of instructions that no task has any more: those in `was`, and those that are matched."""
    used = {text for entry in tasks for text in _rows_of(entry, tables).texts}
    return memory_facts.forget(
        tables["facts"], lambda t: t not in used and (t in was or (matches is not None and matches(t)))
    )


def _going(examples: Sequence[Example], goes: Callable[[Example], bool] | None) -> Set[int]:
    if goes is None:
        return frozenset(range(len(examples)))
    return {position for position, example in enumerate(examples) if goes(example)}


class _Without:
    """Examples but for some positions; gone through as often as needed, never held."""

    def __init__(self, examples: Sequence[Example], left_out: Set[int]) -> None:
        self.examples, self.left_out = examples, left_out

    def __iter__(self) -> Iterator[Example]:
        return (example for position, example in enumerate(self.examples) if position not in self.left_out)
