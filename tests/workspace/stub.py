"""A learner of milliseconds: it can answer the instructions of its last stage, replay included, and no others."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from pathlib import Path

from inscl.contract import Answer, LogLikelihood, Question, Task
from inscl.contract.plan import ReplayPlan
from inscl.contract.seams import LearnReport
from inscl.contract.traits import LearnerTraits

__all__ = ["RULES", "Stub"]

RULES = {
    "upper": str.upper,
    "backwards": lambda text: text[::-1],
    "length": lambda text: str(len(text)),
    "double": lambda text: text + text,
    "first": lambda text: text[:1],
}


class Stub:
    """Forgets every instruction that its last stage didn't hold; what it saves holds no text of any example."""

    traits = LearnerTraits(saves=True, log_likelihoods=True, chooses=True)

    def __init__(self, seed: int = 0) -> None:
        self.known: dict[str, str] = {}
        self.past = ""

    def learn(self, task: Task, plan: ReplayPlan) -> LearnReport:
        replay = plan.examples
        self.known = {}
        examples = [*task.train, *replay]
        for example in examples:
            for name, rule in RULES.items():
                if rule(example.input) == example.output:
                    self.known.setdefault(_mark(example.instruction), name)
        # What it is depends on everything that it ever learned, as with weights.
        self.past = _mark(self.past + "".join(example.id for example in examples))
        tokens = sum(len(example.prompt) for example in examples)
        old = sum(len(example.prompt) for example in replay)
        return LearnReport(len(examples), len(task.train), len(replay), tokens, tokens, old, 0.5, 1.0)

    def answer(self, questions: Sequence[Question], max_new_tokens: int = 64) -> list[Answer]:
        parts = [question.prompt.partition("\n\n") for question in questions]
        said = [RULES[self.known[_mark(i)]](text) if _mark(i) in self.known else "no idea" for i, _, text in parts]
        return [Answer(text) for text in said]

    def log_likelihoods(self, questions: Sequence[Question], answers: Sequence[str]) -> list[LogLikelihood]:
        """A quarter of a nat a letter, and for the end, of what it can answer; two nats of anything else."""
        known = [_mark(question.instruction) in self.known for question in questions]
        tokens = [len(answer) + 1 for answer in answers]
        return [
            LogLikelihood(-count * (0.25 if able else 2.0), count, count if able else 0)
            for able, count in zip(known, tokens, strict=True)
        ]

    def choose(self, questions: Sequence[Question], normalise: bool = True) -> list[tuple[float, ...]]:
        said = [answer.text for answer in self.answer(questions)]
        weights = [
            [9 if option == text else 1 for option in question.options]
            for question, text in zip(questions, said, strict=True)
        ]
        return [tuple(math.log(weight / sum(own)) for weight in own) for own in weights]

    def save(self, folder: Path) -> None:
        (folder / "known.json").write_text(json.dumps([self.known, self.past], sort_keys=True))

    def load(self, folder: Path) -> None:
        self.known, self.past = json.loads((folder / "known.json").read_text())


def _mark(instruction: str) -> str:
    return hashlib.sha256(instruction.encode()).hexdigest()[:16]
