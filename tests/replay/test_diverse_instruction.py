from __future__ import annotations

import math

import numpy as np
import pytest

from inscl.contract import Example, Memory, Task
from inscl.replay import Budget
from inscl.replay.diverse_instruction import DiverseInstruction
from inscl.testing import fake_embedder, made_task


def never(texts: list[str]) -> np.ndarray:
    raise AssertionError(f"embedded {len(texts)} texts")


def cosine(a: str, b: str) -> float:
    x, y = (row.astype(float).tolist() for row in fake_embedder([a, b]))
    return sum(p * q for p, q in zip(x, y, strict=True)) / math.sqrt(sum(p * p for p in x) * sum(q * q for q in y))


def stream() -> tuple[Memory, Task]:
    tasks = [
        Task(name, tuple(Example(text, f"{name} {n}", ("x",)) for text, count in texts for n in range(count)))
        for name, texts in (
            ("a", [("sort the mail", 5), ("zigzag fuzzily", 4)]),
            ("b", [("count coins", 6), ("sort the mail", 2)]),
            ("c", [("quiz jovial oxen", 3)]),
        )
    ]
    return Memory(tuple(tasks)), Task("n", (Example("sort the post", "", ("x",)), Example("store mats", "", ("x",))))


@pytest.mark.parametrize("count", [1, 3, 6, 9, 14, 20])
def test_goes_down_the_ranking_of_column_sums(count: int) -> None:
    memory, new = stream()
    sums = {
        text: sum(cosine(current, text) for current in new.instructions)
        for text in ("sort the mail", "zigzag fuzzily", "count coins", "quiz jovial oxen")
    }
    strategy = DiverseInstruction(fake_embedder)
    assert strategy.similarities(memory, new) == pytest.approx(sums)
    plan = strategy.plan(memory, new, Budget(total=count), np.random.default_rng(0))
    held = {text: sum(t.instruction_counts.get(text, 0) for t in memory.tasks) for text in sums}
    expected, left = {}, count
    for text in sorted(sums, key=sums.__getitem__):
        expected[text] = min(left, held[text])
        left -= expected[text]
    taken = [pick.example.instruction for pick in plan.picks]
    assert {text: taken.count(text) for text in sums} == expected
    shown = [sums[text] for text, n in expected.items() if n]
    assert f"from {min(shown):.3f} to {max(shown):.3f}; the largest of all is {max(sums.values()):.3f}" in plan.notes[0]


def test_of_the_last_instruction_every_example_has_its_chance() -> None:
    memory = Memory((made_task("a", 6, 1), Task("b", made_task("a", 9, 1).train[6:])))
    seen = set()
    for seed in range(40):
        plan = DiverseInstruction(fake_embedder).plan(
            memory, made_task("n", 3), Budget(total=2), np.random.default_rng(seed)
        )
        seen |= {pick.example.id for pick in plan.picks}
    assert len(seen) == 9


def test_equal_sums_keep_the_order_of_first_appearance() -> None:
    strategy = DiverseInstruction(lambda texts: np.ones((len(texts), 3), dtype=np.float32) / 3)
    memory, new = stream()
    assert list(strategy.similarities(memory, new)) == [
        "sort the mail", "zigzag fuzzily", "count coins", "quiz jovial oxen",
    ]  # fmt: skip


def test_known_vectors_are_not_made_again_and_no_budget_needs_none() -> None:
    memory, new = stream()
    texts = list(dict.fromkeys(text for task in (*memory.tasks, new) for text in task.instructions))
    known = Memory(memory.tasks, dict(zip(texts, fake_embedder(texts), strict=True)))
    plans = [
        DiverseInstruction(source).plan(held, new, Budget(total=7), np.random.default_rng(3))
        for source, held in ((never, known), (fake_embedder, memory))
    ]
    assert plans[0] == plans[1]
    assert DiverseInstruction(never).plan(memory, new, Budget(total=0), np.random.default_rng(3)).picks == ()
