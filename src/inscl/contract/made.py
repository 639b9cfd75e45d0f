"""What a strategy made of a memory for one plan, and can use for the next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from inscl.contract.task_summary import TaskSummary
    from inscl.contract.task_tags import TagNeighbours, TaskTags

__all__ = ["MadeOfTasks"]


@dataclass(frozen=True)
class MadeOfTasks:
    """What the memory keeps for later plans; the fields of a `Memory` by the same names.

    Attributes:
        summaries: Task name -> a summary of its vectors.
        tagged: Task name -> the tags of its instructions.
        neighbours: Which tags are near which; None keeps what is kept.
    """

    summaries: Mapping[str, TaskSummary] = field(default_factory=dict)
    tagged: Mapping[str, TaskTags] = field(default_factory=dict)
    neighbours: TagNeighbours | None = None

    def __bool__(self) -> bool:
        """Whether there is anything to keep."""
        return bool(self.summaries or self.tagged or self.neighbours is not None)
