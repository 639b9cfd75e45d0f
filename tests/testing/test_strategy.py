"""The check of strategies finds each kind of broken one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from inscl.contract import Memory, Task
from inscl.contract.budget import count_words
from inscl.contract.traits import StrategyTraits
from inscl.replay import Budget, ReplayPlan
from inscl.replay.none import NoReplay
from inscl.replay.random import RandomReplay
from inscl.testing import check_strategy

Change = Callable[[ReplayPlan], ReplayPlan]


class Broken:
    def __init__(self, change: Change) -> None:
        self.change = change

    def plan(self, memory: Memory, new_task: Task, budget: Budget, rng: np.random.Generator) -> ReplayPlan:
        plan = RandomReplay().plan(memory, new_task, budget, rng)
        return self.change(plan) if len(plan.picks) > 1 else plan


CASES: dict[str, tuple[Change, str]] = {
    "one too few": (lambda plan: replace(plan, picks=plan.picks[1:], shares=()), "instead of|not"),
    "one twice": (lambda plan: replace(plan, picks=(*plan.picks[:-1], plan.picks[0]), shares=()), "replayed 2 times"),
    "one too many": (lambda plan: replace(plan, picks=(*plan.picks, *plan.picks), shares=()), "times|allowed"),
    "another task's": (
        lambda plan: replace(plan, picks=tuple(replace(p, task="elsewhere") for p in plan.picks), shares=()),
        "not in the train split",
    ),
    "wrong shares": (
        lambda plan: replace(plan, shares=tuple(replace(s, allocation=s.allocation + 1) for s in plan.shares)),
        "the plan says",
    ),
    "a share too few": (lambda plan: replace(plan, shares=plan.shares[1:]), "leave out earlier tasks"),
    "chance of its own": (
        lambda plan: replace(plan, picks=tuple(np.random.default_rng().permutation(np.array(plan.picks, object)))),
        "two different plans",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_finds(case: str) -> None:
    change, said = CASES[case]
    with pytest.raises(AssertionError, match=said):
        check_strategy(lambda: Broken(change))


def test_a_sound_one_passes() -> None:
    check_strategy(lambda: Broken(lambda plan: plan))


class Everything(Broken):
    """Replays all there is, then changes the plan."""

    def plan(self, memory: Memory, new_task: Task, budget: Budget, rng: np.random.Generator) -> ReplayPlan:
        return super().plan(memory, new_task, Budget(total=10**6), rng)


class Declared(Everything):
    traits = StrategyTraits(uses_budget=False)


def test_a_budget_may_be_ignored_where_that_is_said() -> None:
    def make() -> Everything:
        return Everything(lambda plan: plan)

    with pytest.raises(AssertionError, match="allowed"):
        check_strategy(make)
    check_strategy(make, ignores_budget=True)
    check_strategy(lambda: Declared(lambda plan: plan))


def test_tokens_are_a_budget_too() -> None:
    class Spender(Broken):
        def plan(self, memory: Memory, new_task: Task, budget: Budget, rng: np.random.Generator) -> ReplayPlan:
            return super().plan(memory, new_task, replace(budget, tokens=budget.tokens and 10**6), rng)

    with pytest.raises(AssertionError, match="a budget of 1 tokens was exceeded"):
        check_strategy(lambda: Spender(lambda plan: plan))
    check_strategy(lambda: Spender(lambda plan: plan), ignores_budget=True)


def test_tokens_are_counted_as_the_budget_counts_them() -> None:
    class Words(Broken):
        def plan(self, memory: Memory, new_task: Task, budget: Budget, rng: np.random.Generator) -> ReplayPlan:
            return super().plan(memory, new_task, replace(budget, count_tokens=count_words), rng)

    with pytest.raises(AssertionError, match="a budget of 120 tokens was exceeded"):
        check_strategy(lambda: Words(lambda plan: plan))


@pytest.mark.parametrize("tokens", [0, 1])
def test_a_budget_of_next_to_no_tokens_is_kept(tokens: int) -> None:
    class One(Broken):
        def plan(self, memory: Memory, new_task: Task, budget: Budget, rng: np.random.Generator) -> ReplayPlan:
            chosen = Budget(total=1) if budget.tokens == tokens else budget
            return super().plan(memory, new_task, chosen, rng)

    with pytest.raises(AssertionError, match=f"a budget of {tokens} tokens was exceeded"):
        check_strategy(lambda: One(lambda plan: plan))


@pytest.mark.parametrize("case", [case for case in CASES if case != "one too few"])
def test_all_but_the_budget_is_still_checked(case: str) -> None:
    change, said = CASES[case]
    with pytest.raises(AssertionError, match=said):
        check_strategy(lambda: Everything(change), ignores_budget=True)
    with pytest.raises(AssertionError, match=said):
        check_strategy(lambda: Declared(change))


def test_a_strategy_that_says_it_never_replays_replays_nothing() -> None:
    class Promising(Broken):
        traits = StrategyTraits(uses_budget=False, replays=False)

    check_strategy(NoReplay)
    with pytest.raises(AssertionError, match="it never replays, and it does"):
        check_strategy(lambda: Promising(lambda plan: plan))
