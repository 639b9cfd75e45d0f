"""The check of learners finds each kind of broken one."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from bench.keeper import Keeper
from inscl.contract import LogLikelihood
from inscl.contract.traits import LearnerTraits
from inscl.testing import check_learner, made_task
from plugin_package.inscl_plugin_example.parrot import Parrot
from workspace.stub import Stub


@pytest.mark.parametrize("make", [Parrot, Stub, Keeper])
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


class Remembering(Parrot):
    traits = replace(Parrot.traits, forgets=True)

    @staticmethod
    def forget(folder, erased):
        """Nothing goes."""


class Unforgetting(Parrot):
    traits = LearnerTraits(forgets=True)


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


class Stale(Parrot):
    traits = replace(Parrot.traits, keeps_prompts=True)
    shift = 0.0

    @contextmanager
    def keeping_prompts(self):
        self.shift = 0.1
        yield
        self.shift = 0.0

    def log_likelihoods(self, questions, answers):
        found = super().log_likelihoods(questions, answers)
        return [replace(one, nats=one.nats - self.shift * one.tokens) for one in found]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (Stale, "within keeping_prompts likelihoods or choices are others"),
        (Shuffling, "in another order"),
        (Swallowing, "5 questions were asked and 4 answers came"),
        (Strings, "of the type Answer, not str"),
        (Certain, "no answer is more likely than certain"),
        (Endless, "of no tokens"),
        (Boasting, r"Boasting declare what it doesn't have: 'choose' \(trait 'chooses'\)"),
        (Scoring, r"sum to 1\.1036, not to 1"),
        (Forgetful, "read by a fresh learner gives other answers"),
        (Remembering, "its state still holds 'answer 0'"),
        (Unforgetting, r"'forget' \(trait 'forgets'\)"),
        (Careless, "learning nothing raised AssertionError"),
        (Lying, "nothing was learned, and the report counts examples"),
        (Uncounted, "a longer prompt must have more tokens"),
    ],
)
def test_broken_learners_are_found(make, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        check_learner(make)
