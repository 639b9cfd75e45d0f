"""The data that is learned and replayed: task, stream, memory."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from inscl.contract.example import Example
from inscl.contract.example_table import ExampleTable

if TYPE_CHECKING:
    from inscl.contract.noted import Noted
    from inscl.contract.plan import PastStage
    from inscl.contract.task_summary import TaskSummary
    from inscl.contract.task_tags import TagNeighbours, TaskTags

__all__ = ["Memory", "Stream", "Task"]


@dataclass(frozen=True)
class Task:
    """A skill to learn: a name, a train split and a test split.

    Attributes:
        name: Unique in its stream; also names a folder, so it holds no path separators or control characters.
        train: Examples to learn from; a tuple, or an `ExampleTable` that reads them from a store.
        test: Examples to be scored on; likewise.
        max_new_tokens: Longest answer to generate for this task; None uses ``evaluation.max_new_tokens``.
    """

    name: str
    train: Sequence[Example]
    test: Sequence[Example] = ()
    max_new_tokens: int | None = None

    @cached_property
    def instruction_counts(self) -> dict[str, int]:
        """Distinct train instructions in order of first appearance, with how many examples carry each."""
        if isinstance(self.train, ExampleTable):
            return self.train.instruction_counts
        return dict(Counter(example.instruction for example in self.train))

    @property
    def instructions(self) -> tuple[str, ...]:
        """Distinct train instructions in order of first appearance."""
        return tuple(self.instruction_counts)

    @property
    def distinct(self) -> int:
        """Number of distinct train instructions; of a store, none is read."""
        return self.train.distinct if isinstance(self.train, ExampleTable) else len(self.instruction_counts)

    @cached_property
    def instruction_digest(self) -> str:
        """Changes with the distinct train instructions, their order and how many examples carry each.

        A store may give another one than a tuple of the same examples does; none of its instructions is read.
        """
        if isinstance(self.train, ExampleTable):
            return self.train.instruction_digest
        return _digest(list(self.instruction_counts.items()))

    @cached_property
    def instruction_index(self) -> NDArray[np.int64]:
        """Shape (len(train),): for every train example the number of its instruction in `instructions`."""
        if isinstance(self.train, ExampleTable):
            return self.train.instruction_index
        numbers = {text: k for k, text in enumerate(self.instructions)}
        return np.array([numbers[example.instruction] for example in self.train], dtype=np.int64)

    @property
    def train_ids(self) -> list[str]:
        """`Example.id` of every train example."""
        return _ids(self.train)

    @property
    def test_ids(self) -> list[str]:
        """`Example.id` of every test example."""
        return _ids(self.test)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256, 64 hex digits: it changes with the name, and with any word, order or split of the examples.

        It does not depend on file names, formats or sources.
        """
        return _digest(["task", self.name, self.train_ids, self.test_ids])

    @cached_property
    def content_fingerprint(self) -> str:
        """The same of the examples alone, whatever the task is called."""
        return _digest(["task", "", self.train_ids, self.test_ids])

    def examples_at(self, positions: Iterable[int]) -> list[Example]:
        """The train examples at many positions, in that order; of a store, these alone are read, and at once."""
        if isinstance(self.train, ExampleTable):
            return self.train.at(positions)
        return [self.train[position] for position in positions]


@dataclass(frozen=True)
class Stream:
    """Tasks in the order in which they are learned.

    Attributes:
        tasks: The tasks that are learned, first to last.
        name: What to call the stream in reports.
        findings: What the reader noticed in the data, one line each (duplicates, leaks that were allowed, bad rows).
        rejected: Rows that were skipped: ``file``, ``line``, ``reason`` and ``row``, ready to be written as JSON lines.
        held_out: Tasks that are scored at every stage, and never learned nor replayed: they have test splits alone.
        left_out: Names of tasks that the data has, and the order doesn't.
        for_experts: Those tasks of `held_out` that have train rows, with them: the expert of such a task learns them,
            and nobody else. They are no part of the fingerprint.
    """

    tasks: tuple[Task, ...]
    name: str = "stream"
    findings: tuple[str, ...] = ()
    rejected: tuple[Mapping[str, Any], ...] = ()
    held_out: tuple[Task, ...] = ()
    left_out: tuple[str, ...] = ()
    for_experts: tuple[Task, ...] = ()

    def __len__(self) -> int:
        return len(self.tasks)

    def __iter__(self) -> Iterator[Task]:
        return iter(self.tasks)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the tasks that are learned, in order."""
        return tuple(task.name for task in self.tasks)

    @property
    def scored(self) -> tuple[Task, ...]:
        """Every task that is scored: those that are learned, then those that are held out."""
        return (*self.tasks, *self.held_out)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the tasks' fingerprints in their order, then of those that are held out; 64 hex digits."""
        held_out = [[task.fingerprint for task in self.held_out]] if self.held_out else []
        return _digest(["stream", [task.fingerprint for task in self.tasks], *held_out])


@dataclass(frozen=True)
class Memory:
    """What is kept of the tasks already learned.

    Attributes:
        tasks: Tasks 1..i-1 in the order in which they were learned; their train splits can be replayed.
        vectors: Instruction -> embedding, shape (d,), float32. What is missing, a strategy embeds itself.
        tags: Instruction -> its raw intention tags. What is missing, a strategy tags itself.
        past: The earlier stages in their order; empty unless the strategy's trait `remembers` asks for them.
        summaries: Task name -> what a strategy with the trait `summarises` keeps of its vectors for later plans.
        noted: Task name -> what a strategy with the trait `describes` noted when the task had just been learned.
        tagged: Task name -> what it keeps of its instructions' tags; they are those of `tags`.
        neighbours: Which tags it found near which; None where nothing is kept of that.
    """

    tasks: tuple[Task, ...] = ()
    vectors: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    tags: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    past: tuple[PastStage, ...] = ()
    summaries: Mapping[str, TaskSummary] = field(default_factory=dict)
    noted: Mapping[str, Noted] = field(default_factory=dict)
    tagged: Mapping[str, TaskTags] = field(default_factory=dict)
    neighbours: TagNeighbours | None = None

    def __len__(self) -> int:
        return len(self.tasks)

    def including(
        self,
        task: Task,
        vectors: Mapping[str, NDArray[np.float32]] | None = None,
        tags: Mapping[str, tuple[str, ...]] | None = None,
    ) -> Memory:
        """A memory that also holds `task`; this one is left as it is."""
        return replace(
            self,
            tasks=(*self.tasks, task),
            vectors={**self.vectors, **vectors} if vectors else self.vectors,
            tags={**self.tags, **tags} if tags else self.tags,
        )


def _ids(examples: Sequence[Example]) -> list[str]:
    return examples.ids if isinstance(examples, ExampleTable) else [example.id for example in examples]


def _digest(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, ensure_ascii=True).encode()).hexdigest()
