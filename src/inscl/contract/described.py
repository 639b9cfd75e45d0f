"""What can be said of a task without any of its inputs and answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from inscl.contract.example import Example
from inscl.contract.reference_format import ReferenceFormat, learn_format
from inscl.contract.task import Task

__all__ = ["Described"]


@dataclass(frozen=True)
class Described:
    """A learned task in a few facts; it holds no input and no answer of an example.

    An instruction is kept as it is worded. Where a task has no inputs, or is of conversations, the instruction is all
    that was asked.

    Attributes:
        name: Of the task.
        instructions: Distinct train instructions in order of first appearance, with how many examples carry each.
        input_words: Words of the longest input; 0 where no example has one.
        answer_words: Words of the longest first reference.
        conversations: Whether any example is a conversation of several turns.
        options: The closed answers of instructions whose examples all have the same ones.
        answer_format: What the first references have in common (JSON, a number, a length); None where they show
            nothing.
    """

    name: str
    instructions: Mapping[str, int]
    input_words: int
    answer_words: int
    conversations: bool = False
    options: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    answer_format: ReferenceFormat | None = None

    @classmethod
    def of(cls, task: Task) -> Described:
        """The description of a task's train split, which is read once."""
        inputs, conversations = 0, False
        answers: list[str] = []
        options: dict[str, set[tuple[str, ...]]] = {}
        for example in task.train:
            inputs = max(inputs, len(example.input.split()))
            answers.append(example.output)
            conversations = conversations or bool(example.turns)
            options.setdefault(example.instruction, set()).add(example.options)
        return cls(
            task.name,
            dict(task.instruction_counts),
            inputs,
            max((len(text.split()) for text in answers), default=0),
            conversations,
            {text: next(iter(found)) for text, found in options.items() if len(found) == 1 and any(found)},
            learn_format(answers, labels=False),
        )

    def stand_ins(self) -> Task:
        """A task whose train examples have these instructions as often, and no input and no answer."""
        rows = (
            Example(text, "", ("",), self.name, options=self.options.get(text, ()))
            for text, count in self.instructions.items()
            for _ in range(count)
        )
        return Task(self.name, tuple(rows))
