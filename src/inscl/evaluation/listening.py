"""Whether answers change when the key part of their instruction does: a model that half-listens gives the same ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np

from inscl.contract import Example, Question, Task
from inscl.contract.key_parts import KEY_PARTS, MASK, clauses, key_part_choices, masked
from inscl.contract.seams import Learner, Likelihoods, Tagger
from inscl.contract.traits import LearnerTraits, traits_of
from inscl.evaluation.rows import positions
from inscl.storage.run.formats import Heard
from inscl.tagging.costliest_parts import costliest_parts

__all__ = ["chosen", "key_parts_of", "listening"]

_CANDIDATES = 4  # clauses of an instruction that are compared, as in the strategy kpig


def listening(
    learner: Learner,
    tasks: Mapping[str, int],
    examples: Mapping[str, Sequence[Example]],
    parts: Mapping[str, tuple[str, ...]],
) -> list[Heard]:
    """Ask each question as it is, without its key parts, and with those of the next task in their place.

    Args:
        learner: Anything that answers.
        tasks: Task -> longest answer, tokens; in the order in which they are asked.
        examples: Task -> test examples.
        parts: Instruction -> its key parts, as `key_parts_of` gives them; questions of other instructions are left out.

    Returns:
        A row for each question whose instruction has a key part.
    """
    found = []
    for place, (task, longest) in enumerate(tasks.items()):
        after = [*list(tasks)[place + 1 :], *list(tasks)[:place]]
        other = next((part for name in after for part in _first(examples[name], parts)), "")
        rows: list[tuple[Example, Example, Example | None]] = []
        for example in examples[task]:
            own = parts.get(example.instruction, ())
            if (hidden := masked(example, own)) is None:
                continue
            rows.append((example, hidden, masked(example, own, other) if other and other not in own else None))
        asked = [one for row in rows for one in row if one is not None]
        answers = iter(learner.answer([Question.of(one) for one in asked], longest)) if asked else iter(())
        for example, _, swapped in rows:
            said, without = next(answers).text, next(answers).text
            told = None if swapped is None else next(answers).text
            found.append(
                Heard(
                    id=example.id,
                    task=task,
                    instruction=example.instruction,
                    input=example.input,
                    parts=list(parts[example.instruction]),
                    other="" if swapped is None else other,
                    prediction=said,
                    without=without,
                    swapped=told,
                )
            )
    return found


def _first(examples: Sequence[Example], parts: Mapping[str, tuple[str, ...]]) -> list[str]:
    """The first key part of a task's examples, in a list; empty where they have none."""
    return [part for example in examples for part in parts.get(example.instruction, ())][:1]


def key_parts_of(
    learner: Learner, examples: Sequence[Example], finder: Tagger | None = None
) -> dict[str, tuple[str, ...]]:
    """The key parts of instructions: those that the data name, else a finder's, else the costliest clause.

    Where the learner doesn't tell likelihoods, the longest clause stands for the costliest one.

    Args:
        learner: Whose likelihoods choose among clauses.
        examples: Examples with these instructions; the clauses of one are compared on all of its examples.
        finder: Names key parts of instructions, as the tagger ``key_parts`` does; None asks nobody.

    Returns:
        Instruction -> key parts; instructions without any are left out.
    """
    texts = list(dict.fromkeys(example.instruction for example in examples))
    named = dict(zip(texts, finder(texts), strict=True)) if finder else {}
    can = traits_of(learner, LearnerTraits).log_likelihoods
    choices = []
    for example in examples:
        given = {KEY_PARTS: found} if (found := named.get(example.instruction)) else {}
        own = Example(example.instruction, "", example.outputs, metadata={**given, **example.metadata})
        longest = clauses(example.instruction, 1)
        fits = KEY_PARTS in own.metadata or can
        choices.append(key_part_choices(own, _CANDIDATES) if fits else [(part,) for part in longest])

    def losses(asked: Sequence[Example]) -> Any:
        questions, answers = list(map(Question.of, asked)), [one.output for one in asked]
        return np.array([one.loss for one in cast("Likelihoods", learner).log_likelihoods(questions, answers)])

    def alike(asked: Sequence[Example]) -> Any:
        return np.zeros(len(asked))  # there is one choice each

    heeded = costliest_parts(examples, choices, losses if can else alike, MASK)
    return {text: found.parts for text, found in heeded.items()}


def chosen(task: Task, most: int) -> list[Example]:
    """A fixed sample of a task's test examples, as every evaluation takes it."""
    return [task.test[k] for k in positions(task, most, "text")]
