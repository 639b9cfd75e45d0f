"""What a learner is asked: everything in an example except its references."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from inscl.contract.example import Example, Image, Turn

__all__ = ["Question"]


@dataclass(frozen=True)
class Question:
    """A question; it never holds a reference answer.

    Attributes:
        instruction: What is asked; see `Example`.
        input: What it is asked about; may be empty.
        turns: The whole conversation, the last turn being the question; empty where it is one user turn, the `prompt`.
        options: The closed answers to choose from; empty where any answer may be given.
        images: Pictures that belong to it.
        task: Name of the task it belongs to; empty where that isn't known.
        id: Of the example it was made from; empty where it comes from a user.
        metadata: Whatever else is known of it.
    """

    instruction: str
    input: str = ""
    turns: tuple[Turn, ...] = ()
    options: tuple[str, ...] = ()
    images: tuple[Image, ...] = ()
    task: str = ""
    id: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict, hash=False)

    @classmethod
    def of(cls, example: Example, options: Sequence[str] | None = None) -> Question:
        """The question of an example.

        Args:
            example: Its references stay behind.
            options: Closed answers found elsewhere, as in its task; None takes the example's own.
        """
        return cls(
            example.instruction,
            example.input,
            example.turns,
            example.options if options is None else tuple(options),
            example.images,
            example.task,
            example.id,
            example.metadata,
        )

    @property
    def prompt(self) -> str:
        """Instruction, blank line, input: the paper's plain form. No input: the instruction alone."""
        return f"{self.instruction}\n\n{self.input}" if self.input else self.instruction

    @property
    def conversation(self) -> tuple[Turn, ...]:
        """`turns`, or the one user turn that the prompt is."""
        return self.turns or (Turn("user", self.prompt),)
