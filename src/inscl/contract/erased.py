"""What an erasure takes, as a learner is told that keeps examples in its state."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import dataclass

__all__ = ["Erased"]


@dataclass(frozen=True)
class Erased:
    """Examples and instructions that go.

    Attributes:
        tasks: Names of tasks that go whole.
        ids: `Example.id` of the examples that go from every task.
        instructions: Instructions that no example has any more.
    """

    tasks: AbstractSet[str] = frozenset()
    ids: AbstractSet[str] = frozenset()
    instructions: AbstractSet[str] = frozenset()

    def takes(self, task: str, example: str, instruction: str = "") -> bool:
        """Whether an entry goes.

        Args:
            task: Name of its task.
            example: Id of the example that it was made from; empty where it was made from none.
            instruction: An instruction that it holds; empty where it holds none.
        """
        # What holds no instruction doesn't go with one that is empty.
        of_instruction = instruction != "" and instruction in self.instructions
        return task in self.tasks or example in self.ids or of_instruction
