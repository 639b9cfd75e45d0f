"""A learner without a model: it remembers answers by their prompts, and may forget all but the last it learned."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from inscl.contract import Answer, Example, LogLikelihood, Question, Task
from inscl.contract.plan import ReplayPlan
from inscl.contract.seams import LearnReport
from inscl.contract.traits import LearnerTraits
from inscl.errors import DataError

__all__ = ["Parrot"]


class Parrot:
    """Knows what it was taught in its last `room` examples; to anything else it says the answer it learned last.

    Args:
        room: How many answers it can hold.
        batch_size: Examples a step.
        epochs: What a report multiplies by.
    """

    traits = LearnerTraits(saves=True, log_likelihoods=True, counts_tokens=True)

    def __init__(self, room: int = 10**6, batch_size: int = 4, epochs: float = 1) -> None:
        self.room, self.batch_size, self.epochs = room, batch_size, int(epochs)
        self.known: dict[str, str] = {}

    def learn(self, task: Task, plan: ReplayPlan) -> LearnReport:
        new, old = list(task.train), list(plan.examples)
        if not new and not old:
            raise DataError(f"task {task.name!r} has no train examples and nothing is replayed: add examples to it")
        for example in [*old, *new]:
            self.known.pop(example.prompt, None)
            self.known[example.prompt] = example.output
        self.known = dict(list(self.known.items())[-self.room :])
        count = len(new) + len(old)
        return LearnReport(
            steps=self.epochs * -(-count // self.batch_size),
            examples=self.epochs * len(new),
            replayed=self.epochs * len(old),
            tokens=self.epochs * sum(self.count_tokens(example) for example in [*new, *old]),
            answer_tokens=self.epochs * count,
            replay_tokens=self.epochs * sum(map(self.count_tokens, old)),
            seconds=0.1,
            loss=1.0,
        )

    def answer(self, questions: Sequence[Question], max_new_tokens: int = 64) -> list[Answer]:
        last = next(reversed(self.known.values()), "")
        return [Answer(self.known.get(question.prompt, last)) for question in questions]

    def log_likelihoods(self, questions: Sequence[Question], answers: Sequence[str]) -> list[LogLikelihood]:
        pairs = zip(questions, answers, strict=True)
        return [LogLikelihood(0.0 if q.prompt in self.known else -1.0 - len(answer), 1) for q, answer in pairs]

    def count_tokens(self, example: Example) -> int:
        return len(f"{example.prompt} {example.output}".split())

    def save(self, folder: Path) -> None:
        (folder / "known.json").write_text(json.dumps(self.known))

    def load(self, folder: Path) -> Any:
        self.known = json.loads((folder / "known.json").read_text())
