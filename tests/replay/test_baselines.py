"""What holds for every baseline, in the situations where strategies tend to break."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
import pytest

from inscl.contract import Example, Memory, Task
from inscl.contract.seams import ReplayStrategy
from inscl.contract.traits import StrategyTraits, traits_of
from inscl.replay import Budget, ReplayPlan
from inscl.replay.diverse_instruction import DiverseInstruction
from inscl.replay.full import FullReplay
from inscl.replay.ifd import HighestIFD
from inscl.replay.joint import JointTraining
from inscl.replay.kpig import KPIG
from inscl.replay.loss import HighestLoss
from inscl.replay.none import NoReplay
from inscl.replay.prototype_data import PrototypeData
from inscl.replay.prototype_instruction import PrototypeInstruction
from inscl.replay.random import RandomReplay
from inscl.replay.reservoir import Reservoir
from inscl.testing import check_strategy, fake_embedder, made_task


def answer_lengths(examples: Sequence[Example]) -> np.ndarray:
    return np.array([len(example.prompt) + len(example.output) % 3 for example in examples], dtype=float)


EXACT: dict[str, Callable[[], ReplayStrategy]] = {
    "prototype_data": lambda: PrototypeData(fake_embedder),
    "prototype_instruction": lambda: PrototypeInstruction(fake_embedder),
    "diverse_instruction": lambda: DiverseInstruction(fake_embedder),
    "reservoir": Reservoir,
    "loss": lambda: HighestLoss(answer_lengths),
    "ifd": lambda: HighestIFD(answer_lengths),
    "kpig": lambda: KPIG(answer_lengths),
}
EQUAL = ("prototype_data", "prototype_instruction", "loss", "ifd")
EVERYTHING: dict[str, Callable[[], ReplayStrategy]] = {"full": FullReplay, "joint": JointTraining}
ALL = {**EXACT, **EVERYTHING}
NEW = made_task("new", 20)


def plan(name: str, memory: Memory, budget: Budget, seed: int = 0) -> ReplayPlan:
    return ALL[name]().plan(memory, NEW, budget, np.random.default_rng(seed))


@pytest.mark.parametrize("name", ALL)
def test_keeps_the_contract(name: str) -> None:
    check_strategy(ALL[name])


def test_a_small_reservoir_keeps_the_contract() -> None:
    check_strategy(lambda: Reservoir(capacity=5), fills_budget=False)


@pytest.mark.parametrize("name", ALL)
def test_the_plan_is_named_and_complete(name: str) -> None:
    memory = Memory((made_task("a", 12), made_task("b", 12)))
    made = plan(name, memory, Budget(per_task=4))
    assert (made.new_task, made.strategy, made.budget) == ("new", name, {"per_task": 4})
    assert [share.task for share in made.shares] == ["a", "b"]
    assert [share.available for share in made.shares] == [12, 12]
    for share in made.shares:
        picked = Counter(pick.example.instruction for pick in made.picks if pick.task == share.task)
        assert {row.instruction: row.picked for row in share.instructions if row.picked} == picked
        assert sum(row.frequency for row in share.instructions) == 12
        assert all(pick.allocation == share.allocation for pick in made.picks if pick.task == share.task)


@pytest.mark.parametrize("name", EXACT)
def test_one_task(name: str) -> None:
    assert plan(name, Memory((made_task("a", 30),)), Budget(per_task=7)).allocation == {"a": 7}


@pytest.mark.parametrize("name", EXACT)
def test_two_identical_tasks(name: str) -> None:
    twin = made_task("twin", 12)
    memory = Memory((Task("a", twin.train), Task("b", twin.train)))
    made = plan(name, memory, Budget(per_task=4))
    assert len(made.picks) == 8
    assert name not in EQUAL or made.allocation == {"a": 4, "b": 4}
    for task in "ab":
        ids = [pick.example.id for pick in made.picks if pick.task == task]
        assert len(ids) == len(set(ids))


@pytest.mark.parametrize("name", EXACT)
def test_forty_tasks(name: str) -> None:
    memory = Memory(tuple(made_task(f"task{k}", 8) for k in range(40)))
    made = plan(name, memory, Budget(per_task=3))
    assert len(made.picks) == 120
    assert name not in EQUAL or set(made.allocation.values()) == {3}
    # Fewer examples than tasks: the remainder goes to the first ones.
    few = plan(name, memory, Budget(total=5))
    assert len(few.picks) == 5
    assert name not in EQUAL or [few.allocation[f"task{k}"] for k in range(6)] == [1, 1, 1, 1, 1, 0]


@pytest.mark.parametrize("name", EXACT)
def test_a_task_of_three_gives_what_it_has(name: str) -> None:
    memory = Memory((made_task("small", 3), made_task("large", 40)))
    made = plan(name, memory, Budget(per_task=10))
    assert len(made.picks) == 20
    assert name not in EQUAL or made.allocation == {"small": 3, "large": 17}


@pytest.mark.parametrize("name", ALL)
def test_more_budget_than_there_is(name: str) -> None:
    memory = Memory((made_task("a", 3), made_task("b", 9)))
    for budget in (Budget(per_task=100), Budget(total=100), Budget(share=50.0), Budget(tokens=10**6)):
        made = plan(name, memory, budget)
        assert made.allocation == {"a": 3, "b": 9}
        asked = {"per_task": "asks for 200", "total": "asks for 100"}.get(budget.kind)
        assert asked is None or any(asked in note and "holds 12" in note for note in made.notes)


@pytest.mark.parametrize("name", EXACT)
@pytest.mark.parametrize("limit", [0, 10, 45, 200])
def test_tokens_are_used_until_nothing_more_fits(name: str, limit: int) -> None:
    rows = [Example(f"do {k % 3}", "word " * (3 * k % 17), ("yes",)) for k in range(25)]
    memory = Memory((Task("a", tuple(rows)), Task("b", tuple(rows[:7]))))
    budget = Budget(tokens=limit)
    made = plan(name, memory, budget)
    spent = sum(map(budget.count_tokens, made.examples))
    assert spent <= limit
    left_out = Counter((task.name, e.id) for task in memory.tasks for e in task.train)
    left_out -= Counter((pick.task, pick.example.id) for pick in made.picks)
    costs = {e.id: budget.count_tokens(e) for e in rows}
    assert all(spent + costs[example] > limit for _, example in left_out)


@pytest.mark.parametrize("name", EVERYTHING)
def test_everything_whatever_the_budget(name: str) -> None:
    memory = Memory((made_task("a", 3), made_task("b", 40)))
    for budget in (Budget(per_task=0), Budget(total=5), Budget(share=0.1), Budget(tokens=3)):
        made = plan(name, memory, budget)
        assert made.examples == [*memory.tasks[0].train, *memory.tasks[1].train]
        assert "whatever the budget" in made.notes[0]
    assert not any("whatever" in note for note in plan(name, Memory(), Budget(total=5)).notes)


def test_who_leaves_the_budget_aside_says_so() -> None:
    assert [traits_of(kind, StrategyTraits).uses_budget for kind in (FullReplay, JointTraining, NoReplay)] == [
        False
    ] * 3
    assert all(traits_of(make(), StrategyTraits).uses_budget for make in (*EXACT.values(), RandomReplay))


def test_only_joint_training_waits() -> None:
    assert [name for name, make in ALL.items() if traits_of(make(), StrategyTraits).waits] == ["joint"]
