"""The published checks find each kind of broken strategy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from inscl.contract import LogLikelihood, Memory, Task
from inscl.contract.budget import count_words
from inscl.contract.traits import LearnerTraits, StrategyTraits
from inscl.models.adapters.lora import LoRA
from inscl.models.adapters.none import FullFineTuning
from inscl.models.adapters.osf import OSF
from inscl.models.objectives.answer import AnswerObjective
from inscl.replay import Budget, ReplayPlan
from inscl.replay.random import RandomReplay
from inscl.testing import check_adapter, check_learner, check_objective, check_strategy, made_task
from plugin_package.inscl_plugin_example.parrot import Parrot
from workspace.stub import Stub

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


def test_the_built_in_adapters_and_the_objective_keep_their_contracts() -> None:
    for adapter in (LoRA, OSF, FullFineTuning):
        check_adapter(adapter)
    check_objective(AnswerObjective)


def test_an_adapter_that_says_it_keeps_the_weights_and_does_not_is_found() -> None:
    class Untrue(FullFineTuning):
        keeps_base = True

    with pytest.raises(AssertionError, match="keeps_base is True"):
        check_adapter(Untrue)


def test_an_adapter_with_nothing_to_train_is_found() -> None:
    class Frozen(FullFineTuning):
        def wrap(self, model, base_name, stage=1):
            return model.requires_grad_(False)

    with pytest.raises(AssertionError, match="nothing is left to train"):
        check_adapter(Frozen)


def test_an_objective_that_leaves_weights_aside_is_found() -> None:
    with pytest.raises(AssertionError, match="weight 0 is learned from"):
        check_objective(lambda: lambda batch: batch.logits.exp().sum())
    with pytest.raises(AssertionError, match="one number"):
        check_objective(lambda: lambda batch: batch.logits)


@pytest.mark.parametrize("make", [Parrot, Stub])
def test_learners_of_others_keep_the_contract(make) -> None:
    check_learner(make)


@pytest.mark.parametrize("adapter", [{"kind": "lora", "r": 4}, None], ids=["lora", "full"])
def test_the_built_in_learner_keeps_the_contract(tiny_model: Path, adapter) -> None:
    from inscl.learners import FineTune

    check_learner(lambda: FineTune(str(tiny_model), adapter=adapter, precision="fp32", batch_size=4, epochs=1))


class Shuffling(Parrot):
    def answer(self, questions, max_new_tokens=64):
        return super().answer(questions, max_new_tokens)[::-1]


class Swallowing(Parrot):
    def answer(self, questions, max_new_tokens=64):
        return super().answer(questions, max_new_tokens)[1:]


class Strings(Parrot):
    def answer(self, questions, max_new_tokens=64):
        return [answer.text for answer in super().answer(questions, max_new_tokens)]


class Certain(Parrot):
    def log_likelihoods(self, questions, answers):
        return [LogLikelihood(1.0, 1) for _ in questions]


class Endless(Parrot):
    def log_likelihoods(self, questions, answers):
        return [LogLikelihood(-1.0, 0) for _ in questions]


class Boasting(Parrot):
    traits = LearnerTraits(chooses=True)


class Scoring(Parrot):
    traits = LearnerTraits(chooses=True)

    def choose(self, questions, normalise=True):
        return [tuple(-1.0 for _ in question.options) for question in questions]


class Forgetful(Parrot):
    def load(self, folder):
        self.known = {"": "something else"}


class Careless(Parrot):
    def learn(self, task, plan):
        assert task.train
        return super().learn(task, plan)


class Lying(Parrot):
    def learn(self, task, plan):
        return replace(super().learn(made_task("some", 1), plan), examples=1)


class Uncounted(Parrot):
    def count_tokens(self, example):
        return 1


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (Shuffling, "in another order"),
        (Swallowing, "5 questions were asked and 4 answers came"),
        (Strings, "of the type Answer, not str"),
        (Certain, "no answer is more likely than certain"),
        (Endless, "of no tokens"),
        (Boasting, r"Boasting declare what it doesn't have: 'choose' \(trait 'chooses'\)"),
        (Scoring, r"sum to 1\.1036, not to 1"),
        (Forgetful, "read by a fresh learner gives other answers"),
        (Careless, "learning nothing raised AssertionError"),
        (Lying, "nothing was learned, and the report counts examples"),
        (Uncounted, "a longer prompt must have more tokens"),
    ],
)
def test_broken_learners_are_found(make, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        check_learner(make)
