"""Questions asked with the demonstrations of their tasks, task by task."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from inscl.contract import Example, Question
from inscl.contract.seams import Embedder, Progress
from inscl.learners.demonstrations.choosing import FIT
from inscl.learners.demonstrations.kept import Kept
from inscl.learners.demonstrations.layout import Layout
from inscl.learners.demonstrations.nearest import by_nearness

__all__ = ["Prompting"]

Found = TypeVar("Found")


@dataclass(frozen=True)
class Prompting:
    """How questions get their demonstrations.

    Attributes:
        kept: The demonstrations of all tasks.
        layout: How they are shown.
        embed: Texts to vectors.
        nearest: Whether those most like a question are shown, rather than the first ones of its task.
        k: How many; `FIT` for as many as fit.
        context: Tokens of a prompt with its answer, for messages.
        progress: Who is told how many have no room.
    """

    kept: Kept
    layout: Layout
    embed: Embedder
    nearest: bool
    k: int | str
    context: int
    progress: Progress

    def asked(
        self,
        questions: Sequence[Question],
        rooms: Sequence[int],
        ask: Callable[[Sequence[Question], Sequence[int]], list[Found]],
    ) -> list[Found]:
        """What `ask` finds for each question, with demonstrations in its turns.

        It is asked task by task. Batches then hold questions of one task alone: their arithmetic, to the last bit,
        doesn't depend on which other tasks are asked, and a task whose demonstrations stay is answered as before.

        Args:
            questions: n questions.
            rooms: Most tokens of each prompt.
            ask: Questions of one task with their places among the n -> what is found for each.

        Returns:
            One for each question, in order.
        """
        groups: dict[str | None, list[int]] = {}
        for place, name in enumerate(self._tasks(questions)):
            groups.setdefault(name, []).append(place)
        shown: dict[int, tuple[Question, int]] = {}
        wanted = 0
        for name, places in groups.items():
            for place, ranked in zip(places, self._ranked(name, [questions[at] for at in places]), strict=True):
                shown[place] = self.layout.shown(ranked, questions[place], rooms[place])
                wanted += len(ranked)
        self._tell([count for _, count in shown.values()], wanted)
        found: dict[int, Found] = {}
        for places in groups.values():
            found |= zip(places, ask([shown[place][0] for place in places], places), strict=True)
        return [found[place] for place in range(len(questions))]

    def _tasks(self, questions: Sequence[Question]) -> Sequence[str | None]:
        """The task of each question."""
        return self.kept.tasks_of(questions, self.embed)

    def _ranked(self, task: str | None, questions: Sequence[Question]) -> list[Sequence[Example]]:
        """The demonstrations that each question of a task should have, best first."""
        candidates = self.kept.tasks[task].demonstrations if task is not None else ()
        most = len(candidates) if self.k == FIT else int(self.k)
        if not self.nearest or not candidates:
            return [candidates[:most]] * len(questions)
        texts = [*(question.prompt for question in questions), *(one.prompt for one in candidates)]
        vectors = np.asarray(self.embed(texts))
        orders = by_nearness(vectors[: len(questions)], vectors[len(questions) :])
        return [[candidates[best] for best in order[:most]] for order in orders]

    def _tell(self, counts: Sequence[int], wanted: int) -> None:
        left_out = wanted - sum(counts)
        if not left_out:
            return
        if self.k == FIT:
            said = f"as fit {self.context} tokens, prompts hold {min(counts)} to {max(counts)} demonstrations"
        else:
            said = (
                f"not all prompts have room for {self.k} demonstrations in {self.context} tokens: {left_out} of "
                f"{wanted} were left out; raise training.max_length, or lower training.params.k"
            )
        self.progress.note(said)
