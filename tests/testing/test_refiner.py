"""The check of refiners finds each kind of broken one."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import cast

import pytest

from inscl.contract import Example
from inscl.contract.refined import Made, Refined
from inscl.contract.traits import RefinerTraits
from inscl.testing import check_refiner

CALLS = itertools.count()


class Upper:
    """A sound refiner: each instruction is told loudly as well."""

    def __init__(self, change: Callable[[Refined], Refined] = lambda outcome: outcome) -> None:
        self.change = change

    def refine(self, examples: Sequence[Example]) -> Iterator[Refined]:
        for example in examples:
            made = Made(replace(example, instruction=example.instruction.upper()), how="upper case")
            yield self.change(Refined(example, "added", made=(made,)))


class Silent(Upper):
    def refine(self, examples: Sequence[Example]) -> Iterator[Refined]:
        yield from list(super().refine(examples))[1:]


class Scribbling(Upper):
    def refine(self, examples: Sequence[Example]) -> Iterator[Refined]:
        for example in examples:
            cast(dict[str, object], example.metadata).update(seen=True)
            yield Refined.keep(example)


class Counting(Upper):
    traits = RefinerTraits(row_by_row=True)

    def refine(self, examples: Sequence[Example]) -> Iterator[Refined]:
        for place, example in enumerate(examples):
            yield Refined.keep(example, f"number {place}")


def with_made(**changes: object) -> Callable[[Refined], Refined]:
    return lambda outcome: replace(outcome, made=tuple(replace(one, **changes) for one in outcome.made))  # type: ignore[arg-type]


def with_example(**changes: object) -> Callable[[Refined], Refined]:
    return lambda outcome: with_made(example=replace(outcome.made[0].example, **changes))(outcome)  # type: ignore[arg-type]


BROKEN: dict[str, tuple[Callable[[], Upper], str]] = {
    "one passed over": (Silent, "not every example is told of"),
    "no word how": (lambda: Upper(with_made(how=" ")), "nothing says how"),
    "no instruction": (lambda: Upper(with_example(instruction="")), "without an instruction"),
    "no answer": (lambda: Upper(with_example(outputs=("",))), "without an answer"),
    "another task's": (lambda: Upper(with_example(task="elsewhere")), "for another task"),
    "a parent that nobody gave": (
        lambda: Upper(with_made(parents=("0123456789abcdef",))),
        "a parent that .* wasn't given",
    ),
    "facts that aren't JSON": (lambda: Upper(with_made(facts={"seen": {1, 2}})), "what JSON doesn't"),
    "facts with numbers for keys": (
        lambda: Upper(lambda outcome: replace(outcome, facts={1: "x"})),
        "what JSON doesn't",
    ),
    "rejected without a reason": (lambda: Upper(lambda one: Refined.reject(one.original, " ")), "without a reason"),
    "replaced by nothing": (lambda: Upper(lambda one: Refined.replace(one.original)), "'replaced' with 0 made"),
    "kept, and something made": (lambda: Upper(lambda one: replace(one, outcome="kept")), "'kept' with 1 made"),
    "another example": (
        lambda: Upper(lambda one: replace(one, original=one.made[0].example)),
        "not every example is told of",
    ),
    "examples changed": (Scribbling, "were changed"),
    "not row by row": (Counting, "an example alone came out otherwise"),
    "another outcome each time": (
        lambda: Upper(lambda outcome: replace(outcome, facts={"call": next(CALLS)})),
        "came out otherwise",
    ),
}


def test_a_sound_one_passes() -> None:
    check_refiner(Upper)


@pytest.mark.parametrize("case", BROKEN)
def test_finds(case: str) -> None:
    make, said = BROKEN[case]
    with pytest.raises(AssertionError, match=said):
        check_refiner(make)


def test_one_that_asks_a_model_need_not_repeat_itself() -> None:
    check_refiner(BROKEN["another outcome each time"][0], repeatable=False)
