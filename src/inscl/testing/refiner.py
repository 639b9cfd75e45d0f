"""`check_refiner`: what a refiner must keep."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from typing import Any

from inscl.contract import Example
from inscl.contract.example import Turn
from inscl.contract.refined import Refined
from inscl.contract.seams import Refiner
from inscl.contract.traits import RefinerTraits, traits_of
from inscl.testing.made import made_task

__all__ = ["check_refiner"]


def check_refiner(factory: Callable[[], Refiner], *, repeatable: bool = True) -> None:
    """Check that a refiner keeps the contract.

    One outcome for each example, in order; a reason for each rejection; new examples with an instruction, an answer,
    the task of their parent, and parents that were given; facts that JSON can hold; the same outcome each time; no
    example, one, copies, and conversations are taken. Where its traits say `row_by_row`, each example alone has the
    same outcome as among the others.

    Args:
        factory: Makes the refiner, as in ``lambda: Shortened()``.
        repeatable: Whether the same examples come out the same. False for one that asks a model that draws its words.

    Raises:
        AssertionError: What is broken, in words.
    """
    traits = traits_of(factory(), RefinerTraits)
    task = made_task("job", 30, 5)
    turns = (Turn("user", "first"), Turn("assistant", "then"), Turn("user", "last"))
    talk = Example("first", "last", ("an answer",), "job", turns=turns)
    choice = Example("Is it so?", "a text", ("yes",), "job", options=("yes", "no"), metadata={"source": "a page"})
    for given in ([], [task.train[0]], [task.train[0]] * 3, [*task.train, talk, choice, *task.train[:3]]):
        before = [example.to_json() for example in given]
        outcomes = list(factory().refine(tuple(given)))
        assert [example.to_json() for example in given] == before, "the examples that were given were changed"
        told = [outcome.original.id for outcome in outcomes]
        assert told == [example.id for example in given], "not every example is told of once and in its order"
        for outcome in outcomes:
            _check_outcome(outcome, set(told))
        if repeatable:
            assert list(factory().refine(tuple(given))) == outcomes, "the same examples came out otherwise"
        if repeatable and traits.row_by_row:
            alone = [outcome for example in given for outcome in factory().refine((example,))]
            assert alone == outcomes, "traits say row_by_row, and an example alone came out otherwise"


def _check_outcome(outcome: Refined, given: Collection[str]) -> None:
    for facts in (outcome.facts, *(one.facts for one in outcome.made)):
        assert _is_json(dict(facts)), f"facts hold what JSON doesn't: {dict(facts)!r}"
    made = bool(outcome.made)
    assert outcome.outcome != "rejected" or outcome.reason.strip(), "an example is rejected without a reason"
    assert made == (outcome.outcome in ("replaced", "added")), f"{outcome.outcome!r} with {len(outcome.made)} made"
    for one in outcome.made:
        assert one.how.strip(), "an example was made and nothing says how"
        assert set(one.parents) <= set(given), "an example names a parent that the refiner wasn't given"
        assert one.example.instruction.strip(), "an example was made without an instruction"
        assert any(text.strip() for text in one.example.outputs), "an example was made without an answer"
        assert one.example.task in ("", outcome.original.task), "an example was made for another task"


def _is_json(value: Any) -> bool:
    try:
        return bool(json.loads(json.dumps(value)) == value)
    except (TypeError, ValueError):
        return False
