from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from inscl.contract import Example, Memory, Task
from inscl.errors import ConfigError
from inscl.replay import Budget
from inscl.replay.prototype_instruction import PrototypeInstruction
from inscl.testing import made_task

NEW = made_task("new", 5)
# Three groups by direction; the middle one of each is nearest its mean.
POINTS = {
    "sort mail": (10.0, 0.2, 0.0), "sort post": (10.0, 0.6, 0.0), "sort letters": (10.0, 1.1, 0.0),
    "name a bird": (0.0, 10.0, 0.1), "name birds": (0.0, 10.0, 0.5), "name a fowl": (0.0, 10.0, 1.0),
    "add up": (0.3, 0.0, 10.0), "sum up": (0.7, 0.0, 10.0), "total": (1.2, 0.0, 10.0),
}  # fmt: skip
TYPICAL = {"sort post", "name birds", "sum up"}


def embedder(texts: list[str]) -> np.ndarray:
    return np.array([POINTS[text] for text in texts], dtype=np.float32)


def never(texts: list[str]) -> np.ndarray:
    raise AssertionError(f"embedded {len(texts)} texts")


def task(each: int = 10) -> Task:
    return Task("a", tuple(Example(text, f"{n}", ("x",)) for n in range(each) for text in POINTS))


def test_draws_from_the_carriers_of_the_instructions_nearest_the_centres() -> None:
    seen: Counter[str] = Counter()
    for seed in range(60):
        plan = PrototypeInstruction(embedder).plan(Memory((task(),)), NEW, Budget(total=6), np.random.default_rng(seed))
        assert {pick.example.instruction for pick in plan.picks} <= TYPICAL
        seen.update(pick.example.id for pick in plan.picks)
    # Every carrier has the same chance: 60 plans of 6 of 30, so 12 times each.
    assert len(seen) == 30
    assert max(seen.values()) < 30
    assert "3 of 9 instructions are prototypes (silhouette 0.9" in plan.notes[0]


def test_fills_up_with_unused_examples() -> None:
    plan = PrototypeInstruction(embedder).plan(Memory((task(4),)), NEW, Budget(total=20), np.random.default_rng(0))
    carried = [pick.example.instruction in TYPICAL for pick in plan.picks]
    assert carried == [True] * 12 + [False] * 8
    assert len({pick.example.id for pick in plan.picks}) == 20
    assert plan.notes[1] == "a: 8 random examples fill up, no more carry a prototype"


def test_without_a_silhouette_all_instructions_are_prototypes() -> None:
    two = Task("two", tuple(Example(f"do {k % 2}", f"{k}", ("x",)) for k in range(10)))
    alike = Task("alike", tuple(Example(f"do {k % 5}", f"{k}", ("x",)) for k in range(10)))
    strategy = PrototypeInstruction(lambda texts: np.ones((len(texts), 4), dtype=np.float32))
    rng = np.random.default_rng(0)
    assert strategy.prototypes(two, Memory(), rng) == (["do 0", "do 1"], None)
    assert strategy.prototypes(alike, Memory(), rng) == ([f"do {k}" for k in range(5)], None)


def test_known_vectors_are_not_made_again() -> None:
    known = {text: np.array(point, dtype=np.float32) for text, point in POINTS.items()}
    plans = [
        PrototypeInstruction(source).plan(Memory((task(),), vectors), NEW, Budget(total=6), np.random.default_rng(1))
        for source, vectors in ((never, known), (embedder, {}))
    ]
    assert plans[0] == plans[1]


def test_all_wrong_parameters_are_told_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        PrototypeInstruction(never, most_clusters=1, n_init=0)
    assert {problem.key for problem in caught.value.problems} == {"most_clusters", "n_init"}
