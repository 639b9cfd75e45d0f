"""What can be said of a task without any of its inputs and answers."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from inscl.contract.example import Example
from inscl.contract.reference_format import ReferenceFormat, format_from_json, learn_format
from inscl.contract.task import Task

__all__ = ["Described", "UseCase", "is_stand_in", "keeps_examples", "texts_with_inputs"]

_MARK = "description"  # the refiner of a stand-in's provenance; `parameters`, which no search looks at, hold the facts
_FEWEST = 2  # examples of a wording that isn't one example's own text


class UseCase(NamedTuple):
    """What an example is for, and the skills that an answer takes."""

    name: str
    skills: tuple[str, ...]


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
        conversations: Whether any example is a conversation of several turns, or has pictures.
        options: The closed answers of instructions whose examples all have the same ones.
        answer_format: What the first references have in common (JSON, a number, a length); None where they show
            nothing.
        use_cases: What examples are for, each with the skills that an answer takes, where a language model was asked.
        answer_loss: Nats an answer token that the model gave nearly all of its answers right after it had learned the
            task; None where that wasn't measured.
    """

    name: str
    instructions: Mapping[str, int]
    input_words: int
    answer_words: int
    conversations: bool = False
    options: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    answer_format: ReferenceFormat | None = None
    use_cases: tuple[UseCase, ...] = ()
    answer_loss: float | None = None

    @classmethod
    def of(cls, task: Task) -> Described:
        """The description of a task's train split, which is read once; of stand-ins, what they were made from."""
        first = next(iter(task.train), None)
        if first is not None and is_stand_in(first):
            return cls._of_stand_ins(task, first.provenance["parameters"])
        inputs, conversations = 0, False
        answers: list[str] = []
        options: dict[str, set[tuple[str, ...]]] = {}
        for example in task.train:
            inputs = max(inputs, len(example.input.split()))
            answers.append(example.output)
            conversations = conversations or bool(example.turns or example.images)
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
        """A task whose train examples have these instructions as often, and no input and no answer.

        The rest of the description is in their provenance, so that `of` finds it again.
        """
        told = self.answer_format
        facts = {
            "input_words": self.input_words,
            "answer_words": self.answer_words,
            "conversations": self.conversations,
            "answer_format": None if told is None else told.to_json(),
        }
        provenance = {"parent": [], "refiner": _MARK, "version": "1", "parameters": facts}
        rows = (
            Example(text, "", ("",), self.name, options=self.options.get(text, ()), provenance=provenance)
            for text, count in self.instructions.items()
            for _ in range(count)
        )
        return Task(self.name, tuple(rows))

    @classmethod
    def _of_stand_ins(cls, task: Task, facts: Mapping[str, Any]) -> Described:
        told = facts["answer_format"]
        return cls(
            task.name,
            dict(task.instruction_counts),
            facts["input_words"],
            facts["answer_words"],
            facts["conversations"],
            {example.instruction: example.options for example in task.train if example.options},
            None if told is None else format_from_json(told),
        )

    def holding_no_input(self, task: Task) -> Described:
        """The description without any text that may hold an input of the task that it was made from.

        A wording stays if at least two examples carry it, each of them has an input, none is a conversation, and no
        input of the task stands in it as whole words, upper and lower case alike. The options of a wording stay with
        it, and the names of JSON fields stay, if no input stands in those.
        """
        asked_by_itself = {example.instruction for example in task.train if not example.input or example.turns}
        told = self.answer_format.to_json() if self.answer_format is not None else {}
        names = " ".join(map(str, told.get("keys", ())))
        options = {text: " ".join(found) for text, found in self.options.items()}
        held = texts_with_inputs(
            (*self.instructions, *options.values(), names), (example.input for example in task.train)
        )
        kept = {
            text: count
            for text, count in self.instructions.items()
            if count >= _FEWEST and text not in asked_by_itself and text not in held
        }
        return replace(
            self,
            instructions=kept,
            options={text: found for text, found in self.options.items() if text in kept and options[text] not in held},
            answer_format=None if names in held else self.answer_format,
        )


def is_stand_in(example: Example) -> bool:
    """Whether it stands for an example that wasn't kept; data can't pretend that, since it needs an answer."""
    return example.provenance.get("refiner") == _MARK and example.outputs == ("",)


def keeps_examples(task: Task) -> bool:
    """Whether a task has train examples, and not only stand-ins for them."""
    first = next(iter(task.train), None)
    return first is not None and not is_stand_in(first)


def texts_with_inputs(texts: Iterable[str], inputs: Iterable[str]) -> set[str]:
    """Those of the texts in which one of the inputs stands as whole words, upper and lower case alike."""
    by_word: dict[str, set[str]] = defaultdict(set)
    for text in texts:
        for word in _words(text):
            by_word[word].add(text)
    found: set[str] = set()
    for given in set(inputs):
        words = list(_words(given))
        said = f" {' '.join(words)} "
        found.update(
            text for text in by_word.get(words[0] if words else "", ()) if said in f" {' '.join(_words(text))} "
        )
    return found


def _words(text: str) -> Iterator[str]:
    return (match[0].casefold() for match in re.finditer(r"\w+", text))
