"""Questions asked with the past examples most like them, whichever tasks these are of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from inscl.contract import Example, Question
from inscl.embedding.nearness import by_nearness, principal_components
from inscl.learners.demonstrations.choosing import FIT
from inscl.learners.demonstrations.kept import Kept
from inscl.learners.demonstrations.prompting import Prompting

__all__ = ["Recalling", "in_order_learned"]


def in_order_learned(kept: Kept) -> list[Example]:
    """All examples that are kept, in the order in which they were learned; one that several tasks have counts last."""
    found: dict[str, Example] = {}
    for task in kept.tasks.values():
        for example in task.demonstrations:
            found.pop(example.id, None)
            found[example.id] = example
    return list(found.values())


@dataclass(frozen=True)
class Recalling(Prompting):
    """Shows each question the examples of all tasks whose prompts are most like it.

    Vectors are compared on the principal components of all examples that are kept.

    Attributes:
        dimensions: Most principal components.
    """

    dimensions: int = 512

    def _tasks(self, questions: Sequence[Question]) -> Sequence[str | None]:
        """The task that each question names: it decides which questions share a batch and nothing else."""
        return [question.task for question in questions]

    def _ranked(self, task: str | None, questions: Sequence[Question]) -> list[Sequence[Example]]:
        """The examples that each question should be shown, most alike first."""
        candidates = in_order_learned(self.kept)
        most = len(candidates) if self.k == FIT else int(self.k)
        if not candidates or most == 0:
            return [()] * len(questions)
        vectors = np.asarray(self.embed([one.prompt for one in candidates]))
        asked = np.asarray(self.embed([question.prompt for question in questions]))
        reduced = principal_components(vectors, self.dimensions)
        orders = by_nearness(reduced(asked), reduced(vectors))
        return [[candidates[best] for best in order[:most]] for order in orders]
