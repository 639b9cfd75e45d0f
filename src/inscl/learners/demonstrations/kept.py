"""The demonstrations of all tasks, how a question finds its task, and their files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from inscl.contract import Example, Question
from inscl.contract.erased import Erased
from inscl.contract.seams import Embedder
from inscl.learners.demonstrations.nearest import by_nearness
from inscl.storage.files.atomic import read_jsonl, write_jsonl

__all__ = ["Kept", "KeptTask"]

_EXAMPLES, _INSTRUCTIONS = "demonstrations.jsonl", "instructions.jsonl"


@dataclass(frozen=True)
class KeptTask:
    """What is kept of a task.

    Attributes:
        demonstrations: Examples to show, best first; where they are chosen for each question, all candidates.
        instructions: By which a question is known to be of this task.
    """

    demonstrations: tuple[Example, ...]
    instructions: tuple[str, ...]


@dataclass
class Kept:
    """What is kept of every task.

    Attributes:
        tasks: By name, in the order in which they were learned.
    """

    tasks: dict[str, KeptTask] = field(default_factory=dict)

    def tasks_of(self, questions: Sequence[Question], embed: Embedder) -> list[str | None]:
        """The task of each question, found by its instruction; the name of its task isn't looked at.

        A question whose instruction was learned is of that task, of several the one learned last. Any other question
        is of the task that has the most similar instruction, by the cosine of their vectors.

        Args:
            questions: n questions.
            embed: Instructions to vectors.

        Returns:
            Names of tasks; None for all where nothing was learned.
        """
        owners = {text: name for name, task in self.tasks.items() for text in task.instructions}
        if not owners:
            return [None] * len(questions)
        found = [
            next((owners[text] for text in _beginnings(question) if text in owners), None) for question in questions
        ]
        unseen = [place for place, name in enumerate(found) if name is None]
        if unseen:
            asked = [questions[place].instruction for place in unseen]
            vectors = np.asarray(embed([*asked, *owners]))
            nearest = by_nearness(vectors[: len(asked)], vectors[len(asked) :])[:, 0]
            names = list(owners.values())
            for place, best in zip(unseen, nearest, strict=True):
                found[place] = names[best]
        return found

    def write(self, folder: Path) -> None:
        """Write two files of JSON lines into `folder`."""
        examples = ({**one.to_json(), "task": name, "id": one.id} for name, one in self._examples())
        write_jsonl(folder / _EXAMPLES, examples)
        texts = ((name, text) for name, task in self.tasks.items() for text in task.instructions)
        write_jsonl(folder / _INSTRUCTIONS, ({"task": name, "instruction": text} for name, text in texts))

    @classmethod
    def read(cls, folder: Path) -> Kept:
        """What `write` wrote.

        Raises:
            WorkspaceError: A file is missing or damaged.
        """
        examples: dict[str, list[Example]] = {}
        instructions: dict[str, list[str]] = {}
        for row in read_jsonl(folder / _INSTRUCTIONS):
            instructions.setdefault(row["task"], []).append(row["instruction"])
        for row in read_jsonl(folder / _EXAMPLES):
            examples.setdefault(row["task"], []).append(Example.from_json(row))
        names = dict.fromkeys([*instructions, *examples])
        return cls({name: KeptTask(tuple(examples.get(name, ())), tuple(instructions.get(name, ()))) for name in names})

    @staticmethod
    def forget(folder: Path, erased: Erased) -> None:
        """Take erased examples and instructions out of the files in `folder`."""
        for name in (_EXAMPLES, _INSTRUCTIONS):
            rows = read_jsonl(folder / name)
            kept = [row for row in rows if not erased.takes(row["task"], row.get("id", ""), row["instruction"])]
            if len(kept) < len(rows):
                write_jsonl(folder / name, kept)

    def _examples(self) -> Iterator[tuple[str, Example]]:
        yield from ((name, one) for name, task in self.tasks.items() for one in task.demonstrations)


def _beginnings(question: Question) -> Iterator[str]:
    """The instruction of a question, then whatever else may be one: its prompt up to each of its blank lines."""
    yield question.instruction
    # Who asks by hand writes instruction, blank line and input as one text.
    parts = question.prompt.split("\n\n")
    for end in range(len(parts), 0, -1):
        yield "\n\n".join(parts[:end])
