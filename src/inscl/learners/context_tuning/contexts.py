"""The contexts of all tasks, and their files: one for each, which stays as it is when another task is learned."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from inscl.contract.erased import Erased
from inscl.learners.context_tuning.context import Context

__all__ = ["Contexts"]

_FILES = "context-*.safetensors"


@dataclass
class Contexts:
    """The contexts of the tasks that were learned.

    Attributes:
        numbered: Number -> context, in the order learned; the number names the file and is never used again.
    """

    numbered: dict[int, Context] = field(default_factory=dict)

    @property
    def by_task(self) -> dict[str, Context]:
        """Name of a task -> its context, in the order learned."""
        return {one.task: one for one in self.numbered.values()}

    def learned(self, context: Context) -> None:
        """Take in the context of a task, in place of what the task had."""
        number = max(self.numbered, default=0) + 1
        self.numbered = {place: one for place, one in self.numbered.items() if one.task != context.task}
        self.numbered[number] = context

    def write(self, folder: Path) -> None:
        """Write one file for each task into `folder`."""
        for number, context in self.numbered.items():
            context.write(folder / _FILES.replace("*", f"{number:04d}"))

    @classmethod
    def read(cls, folder: Path) -> Contexts:
        """What `write` wrote.

        Raises:
            ModelError: A file is damaged.
        """
        found = {int(path.stem.rpartition("-")[2]): Context.read(path) for path in sorted(folder.glob(_FILES))}
        return cls({number: one for number, one in found.items() if one.task})

    @staticmethod
    def forget(folder: Path, erased: Erased) -> None:
        """Take what is erased out of the files in `folder`; the file of a task that goes whole is left empty."""
        for path in sorted(folder.glob(_FILES)):
            before = Context.read(path)
            after = before.without(erased)
            if after is not before:
                after.write(path)
