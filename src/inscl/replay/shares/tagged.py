"""The tags of each task's instructions, once they are made, for plan after plan."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from inscl.contract import Memory, Task
from inscl.contract.seams import Tagger
from inscl.contract.stored_facts import StoredFacts, known_of
from inscl.contract.task_tags import TaskTags
from inscl.errors import ConfigError, Problem
from inscl.tagging.merging import normalised

__all__ = ["TaggedTasks", "task_tags"]

# Changes where other tags come of the same raw ones.
_VERSION = 1


class TaggedTasks:
    """Makes `TaskTags` of what a memory and a tagger say; those of a task that is as it was are not made again.

    Args:
        tagger: Asked only for what the memory doesn't know.

    Attributes:
        made: Task name -> its tags, of all tasks of the last call; for the memory to keep.
    """

    def __init__(self, tagger: Tagger | None) -> None:
        self.tagger = tagger
        self.made: dict[str, TaskTags] = {}
        # What the memory said of each task's instructions when its tags were made; not held where it lies in a store.
        self._said: dict[str, list[Any]] = {}

    def __call__(self, memory: Memory, new_task: Task) -> list[TaskTags]:
        """Those of the memory's tasks in their order, then those of the new task.

        Raises:
            ConfigError: Instructions have no tags, and there is no tagger.
        """
        tasks = (*memory.tasks, new_task)
        of = {task.name: self._identity(task) for task in tasks}
        said = {} if isinstance(memory.tags, StoredFacts) else {task.name: _said(task, memory.tags) for task in tasks}
        found: dict[str, TaskTags] = {}
        for task in tasks:
            name = task.name
            for known, fits in (
                (self.made.get(name), said.get(name) == self._said.get(name)),
                (memory.tagged.get(name), True),
            ):
                if known is not None and known.of == of[name] and fits:
                    found.setdefault(name, known)
        missing = [task for task in tasks if task.name not in found]
        raw = self._raw(missing, memory)
        found |= {
            task.name: task_tags(of[task.name], {text: raw[text] for text in task.instructions}) for task in missing
        }
        self.made, self._said = found, said
        return [found[task.name] for task in tasks]

    def _raw(self, tasks: Sequence[Task], memory: Memory) -> dict[str, Sequence[str]]:
        texts = list(dict.fromkeys(text for task in tasks for text in task.instructions))
        raw: dict[str, Sequence[str]] = {**known_of(memory.tags, texts)}
        missing = [text for text in texts if text not in raw]
        if missing and self.tagger is None:
            raise ConfigError([Problem("tagger", f"InsInfo needs a tagger: {len(missing)} instructions have no tags")])
        return {**raw, **dict(zip(missing, self.tagger(missing), strict=True))} if missing and self.tagger else raw

    def _identity(self, task: Task) -> str:
        content = [_VERSION, getattr(self.tagger, "fingerprint", None), task.instruction_digest]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def task_tags(of: str, raw: Mapping[str, Sequence[str]]) -> TaskTags:
    """Normalise the raw tags of a task's instructions.

    Args:
        of: What they are made of.
        raw: Instruction -> its raw tags.
    """
    labels: dict[str, int] = {}
    numbers, sizes = [], []
    for tags in raw.values():
        own = normalised(tags)
        numbers += [labels.setdefault(tag, len(labels)) for tag in own]
        sizes.append(len(own))
    keys = b"".join(hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=8).digest() for text in raw)
    return TaskTags(
        of,
        np.frombuffer(keys, "<u8").astype(np.uint64),
        tuple(labels),
        np.array(sizes, dtype=np.int32),
        np.array(numbers, dtype=np.int32),
    )


def _said(task: Task, tags: Mapping[str, tuple[str, ...]]) -> list[Any]:
    return list(map(tags.get, task.instruction_counts))
