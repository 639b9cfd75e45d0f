"""Questions asked behind the contexts of their tasks, context by context."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from inscl.contract import Question
from inscl.contract.seams import Embedder
from inscl.learners.context_tuning.context import Context
from inscl.learners.context_tuning.encoder import ContextAsking
from inscl.learners.demonstrations.kept import Kept, KeptTask
from inscl.models.language_model import LanguageModel

__all__ = ["FIND", "Behind", "soft_ids"]

FIND = ("instruction", "task")

Found = TypeVar("Found")


@dataclass(frozen=True)
class Behind:
    """How questions get their contexts.

    Attributes:
        model: Who is asked.
        contexts: Name of a task -> its context, in the order learned.
        asking: Makes what asks the model behind a context of given token ids.
        find: One of `FIND`: ``instruction`` looks at the question's instruction alone; ``task`` takes the name of its
            task where that was learned.
        embed: Instructions to vectors.
    """

    model: LanguageModel
    contexts: Mapping[str, Context]
    asking: Callable[[Sequence[int]], ContextAsking]
    find: str
    embed: Embedder

    def asked(
        self, questions: Sequence[Question], ask: Callable[[ContextAsking, Sequence[int], str], list[Found]]
    ) -> list[Found]:
        """What `ask` finds for each question behind its context.

        Args:
            questions: n questions.
            ask: What asks, the places of some questions that share a context, and a key of that context -> what is
                found for each.

        Returns:
            One for each question, in order.
        """
        groups: dict[str | None, list[int]] = {}
        for place, name in enumerate(self.tasks_of(questions)):
            groups.setdefault(name, []).append(place)
        found: dict[int, Found] = {}
        for name, places in groups.items():
            context = None if name is None else self.contexts[name]
            found |= zip(places, self._of_one(context, places, ask), strict=True)
        return [found[place] for place in range(len(questions))]

    def tasks_of(self, questions: Sequence[Question]) -> list[str | None]:
        """The task of each question; None where nothing was learned. See `Kept.tasks_of`."""
        if not questions:
            return []
        named = [one.task if self.find == "task" and one.task in self.contexts else None for one in questions]
        unnamed = [place for place, name in enumerate(named) if name is None]
        if unnamed:
            known = Kept({name: KeptTask((), one.instructions) for name, one in self.contexts.items()})
            found = known.tasks_of([questions[place] for place in unnamed], self.embed)
            for place, name in zip(unnamed, found, strict=True):
                named[place] = name
        return named

    def _of_one(
        self,
        context: Context | None,
        places: Sequence[int],
        ask: Callable[[ContextAsking, Sequence[int], str], list[Found]],
    ) -> list[Found]:
        """What is found for the questions of one context."""
        import torch

        if context is None or not len(context.tokens):
            return ask(self.asking(()), places, "no context")
        key = hashlib.sha256(context.tokens.tobytes() + context.delta.tobytes()).hexdigest()[:16]
        delta = torch.from_numpy(context.delta).to(self.model.device)
        with self.model.softened(context.tokens.tolist(), delta):
            return ask(self.asking(soft_ids(self.model, context)), places, key)


def soft_ids(model: LanguageModel, context: Context) -> list[int]:
    """The token ids by which prompts name the tokens of a context."""
    first = model.first_soft_token
    return list(range(first, first + len(context.tokens)))
