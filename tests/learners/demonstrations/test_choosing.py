"""Choosing against lists made by hand and searches by brute force."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np
import pytest

from inscl.contract import Example
from inscl.learners.demonstrations.choosing import FIT, Choosing
from inscl.learners.demonstrations.kept import KeptTask
from inscl.testing.made import fake_embedder
from learners.taught import Heard


def example(k: int, size: int = 10) -> Example:
    return Example("Do it.", "x" * size + f" {k}", (f"y{k}",), "t")


POOL = [example(k) for k in range(12)]
WORTH = {one.id: worth for one, worth in zip(POOL, (3, 9, 1, 7, 7, 2, 8, 0, 5, 6, 4, 9), strict=True)}


def value(demonstrations: Sequence[Example], held_out: Sequence[Example]) -> float:
    """Two of the same parity are worth less than one of each."""
    parities = {int(one.output[1:]) % 2 for one in demonstrations}
    return sum(WORTH[one.id] for one in demonstrations) + 5 * len(parities)


def choosing(**settings: Any) -> Choosing:
    defaults: dict[str, Any] = {
        "selection": "fixed",
        "k": 3,
        "held_out": 3,
        "pool": 100,
        "context": 1000,
        "size": lambda one: len(one.input),
        "embed": fake_embedder,
        "value": value,
        "seed": 0,
        "progress": Heard(),
    }
    return Choosing(**{**defaults, **settings})


def kept(choosing: Choosing, examples: Sequence[Example] = POOL, before: KeptTask | None = None) -> list[Example]:
    return list(choosing.choose("t", examples, before).demonstrations)


def test_fixed_takes_the_first_and_random_a_sample_by_seed_and_task() -> None:
    assert kept(choosing()) == POOL[:3]
    first = kept(choosing(selection="random"))
    assert first == kept(choosing(selection="random"))
    assert len({one.id for one in first}) == 3
    drawn = {tuple(one.id for one in kept(choosing(selection="random", seed=seed))) for seed in range(20)}
    assert len(drawn) > 10
    assert first != list(choosing(selection="random").choose("other", POOL, None).demonstrations)


def test_nearest_keeps_all_candidates() -> None:
    assert kept(choosing(selection="nearest", k=1)) == POOL


@pytest.mark.parametrize("held_out", [1, 3, 100])
def test_top_n_are_the_most_valuable_alone_among_those_not_held_out(held_out: int) -> None:
    asked: list[Sequence[Example]] = []

    def seen(demonstrations: Sequence[Example], held: Sequence[Example]) -> float:
        asked.append(held)
        return value(demonstrations, held)

    found = kept(choosing(selection="top_n", held_out=held_out, value=seen))
    held = {one.id for one in asked[0]}
    assert len(held) == min(held_out, len(POOL) // 2)
    assert all(part == asked[0] for part in asked)
    rest = [one for one in POOL if one.id not in held]
    assert len(asked) == len(rest)
    assert [WORTH[one.id] for one in found] == sorted((WORTH[one.id] for one in rest), reverse=True)[:3]


def test_greedy_adds_what_helps_most_beside_what_it_has() -> None:
    held: set[str] = set()

    def seen(demonstrations: Sequence[Example], asked: Sequence[Example]) -> float:
        held.update(one.id for one in asked)
        return value(demonstrations, asked)

    found = kept(choosing(selection="greedy", value=seen))
    rest = [one for one in POOL if one.id not in held]
    best = max(value([one], []) for one in rest)
    assert value(found[:1], []) == best
    for count in (1, 2):
        assert value(found[: count + 1], []) == max(
            value([*found[:count], one], []) for one in rest if one not in found[:count]
        )
    # Not the three that are most valuable alone.
    alone = sorted(rest, key=lambda one: -WORTH[one.id])[:3]
    assert value(found, []) >= value(alone, [])


def test_only_so_many_candidates_are_compared() -> None:
    calls = []
    kept(choosing(selection="top_n", pool=4, value=lambda shown, _: calls.append(shown) or 0.0))
    assert len(calls) == 4


@pytest.mark.parametrize("selection", ["top_n", "greedy"])
def test_a_task_with_one_example_holds_none_out(selection: str) -> None:
    heard = Heard()
    assert kept(choosing(selection=selection, progress=heard), POOL[:1]) == POOL[:1]
    assert heard.notes == [
        "task t: too few examples to hold some out, so none are compared",
        "task t: 1 of the 3 demonstrations that are wanted",
    ]


@pytest.mark.parametrize("selection", ["fixed", "random", "diverse", "top_n", "greedy", "nearest"])
def test_what_is_replayed_again_stays_and_the_rest_is_replaced(selection: str) -> None:
    one = choosing(selection=selection)
    before = one.choose("t", POOL, None)
    again = one.choose("t", POOL, before)
    assert again.demonstrations == before.demonstrations
    lost = before.demonstrations[1]
    after = one.choose("t", [example for example in POOL if example != lost], before)
    stayed = [example for example in before.demonstrations if example != lost]
    assert list(after.demonstrations[: len(stayed)]) == stayed
    assert lost not in after.demonstrations
    assert len(after.demonstrations) == (3 if selection != "nearest" else len(POOL) - 1)


def test_the_same_example_twice_is_one_demonstration() -> None:
    assert kept(choosing(), [POOL[0], POOL[0], POOL[1]]) == POOL[:2]


@pytest.mark.parametrize(("k", "context"), list(product([2, 5, FIT], [0, 9, 11, 40, 65, 10_000])))
def test_demonstrations_fit_the_context_together(k: int | str, context: int) -> None:
    heard = Heard()
    examples = [example(k, size) for k, size in enumerate((20, 9, 30, 7, 12, 25, 8))]
    found = kept(choosing(k=k, context=context, progress=heard), examples)
    sizes = np.cumsum([len(one.input) for one in examples if len(one.input) <= context])
    expected = sum(sizes <= context)
    assert len(found) == (expected if k == FIT else min(k, expected))
    assert sum(len(one.input) for one in found) <= context
    assert bool(heard.notes) == (len(found) < (7 if k == FIT else k) or context < 32)


def test_an_example_that_never_fits_is_told() -> None:
    heard = Heard()
    found = kept(choosing(context=50, progress=heard), [example(0, 60), *POOL[:3]])
    assert found == POOL[:3]
    assert heard.notes == [
        "task t: 1 of 4 examples are longer than the context of 50 tokens by themselves and never shown"
    ]


def test_instructions_stay_when_no_example_of_them_is_replayed() -> None:
    other = Example("Do another.", "x", ("y",), "t")
    one = choosing()
    before = one.choose("t", [*POOL, other], None)
    assert before.instructions == ("Do it.", "Do another.")
    assert one.choose("t", POOL, before).instructions == before.instructions
