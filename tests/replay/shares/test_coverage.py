from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from inscl.contract import Example, Memory, Task
from inscl.contract.plan import PastStage, Pick, ReplayPlan
from inscl.replay import Budget
from inscl.replay.inscl import InsCL
from inscl.replay.shares.coverage import select_unseen, times_replayed
from inscl.testing import fake_embedder, fake_tagger, made_task

COUNTS = {"a": 1, "b": 3, "c": 8}
TASK = Task("t", tuple(Example(text, f"{text}{k}", ("x",)) for text, n in COUNTS.items() for k in range(n)))
INFORMATION = {"a": 1.0, "b": 2.0, "c": 5.0}


def drawn(stages: int, count: int, seed: int) -> list[Example]:
    """What is replayed over stages, `count` at each."""
    times: Counter[str] = Counter()
    examples: list[Example] = []
    for stage in range(stages):
        rng = np.random.default_rng([seed, stage])
        taken = TASK.examples_at(select_unseen(TASK, INFORMATION, count, times, rng))
        assert len({one.id for one in taken}) == count
        times.update(one.id for one in taken)
        examples += taken
    return examples


@pytest.mark.parametrize("count", [1, 2, 5, 12])
def test_nothing_comes_again_before_everything_had_its_turn(count: int) -> None:
    for seed in range(30):
        seen: Counter[str] = Counter()
        for example in drawn(24 // count * 3, count, seed):
            # None of the task has fewer visits than the one that is taken.
            assert seen[example.id] == min(seen[one.id] for one in TASK.train)
            seen[example.id] += 1


@pytest.mark.parametrize("count", [1, 4])
def test_instructions_take_turns_while_they_have_examples_left(count: int) -> None:
    for seed in range(30):
        examples = drawn(24 // count, count, seed)
        for whole_pass in (examples[:12], examples[12:]):
            turns: Counter[str] = Counter()
            for example in whole_pass:
                left = [text for text, n in COUNTS.items() if turns[text] < n]
                assert turns[example.instruction] == min(turns[text] for text in left)
                turns[example.instruction] += 1
            assert turns == COUNTS


def test_the_first_turn_is_drawn_in_proportion_to_information() -> None:
    firsts = Counter(drawn(1, 1, seed)[0].instruction for seed in range(2000))
    for text, value in INFORMATION.items():
        assert firsts[text] == pytest.approx(2000 * value / 8, abs=100)
    alike = Counter(
        TASK.train[select_unseen(TASK, dict.fromkeys(COUNTS, 0.0), 1, {}, np.random.default_rng(seed))[0]].instruction
        for seed in range(900)
    )
    assert min(alike.values()) > 240


def test_times_are_counted_over_past_stages_by_task() -> None:
    one, two = TASK.train[:2]
    plans = [(Pick(one, "t", 1), Pick(two, "u", 1)), (Pick(one, "t", 1),)]
    past = tuple(PastStage(ReplayPlan("n", "random", picks)) for picks in plans)
    assert times_replayed(Memory(past=past)) == {"t": {one.id: 2}, "u": {two.id: 1}}
    assert times_replayed(Memory()) == {}


@pytest.mark.parametrize(
    "budget", [Budget(tokens=75, count_tokens=lambda _: 10), Budget(per_task=2), Budget(total=5), Budget(share=0.9)]
)
def test_no_kind_of_budget_replays_early_what_was_replayed(budget: Budget) -> None:
    tasks = tuple(made_task(name, 7) for name in ("one", "two", "three"))
    past: list[PastStage] = []
    seen: Counter[tuple[str, str]] = Counter()
    for stage in range(12):
        strategy = InsCL(fake_embedder, fake_tagger, coverage=True)
        memory = Memory(tasks, past=tuple(past))
        plan = strategy.plan(memory, made_task("new", 7), budget, np.random.default_rng(stage))
        for pick in plan.picks:
            own = next(task for task in tasks if task.name == pick.task)
            assert seen[pick.task, pick.example.id] == min(seen[pick.task, one.id] for one in own.train)
            seen[pick.task, pick.example.id] += 1
        past.append(PastStage(plan))
    assert max(seen.values()) >= 2  # so that early and late could differ
