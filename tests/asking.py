"""Short forms in which tests teach and ask a learner."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from inscl.contract import Example, Question
from inscl.contract.plan import Pick, ReplayPlan

__all__ = ["NOTHING", "losses", "replaying", "said"]

NOTHING = ReplayPlan.nothing("new")


def replaying(examples: Sequence[Example]) -> ReplayPlan:
    """A plan that replays these."""
    return ReplayPlan("new", "made", tuple(Pick(example, "old", len(examples)) for example in examples))


def said(learner: Any, prompts: Sequence[str], longest: int = 64) -> list[str]:
    """The texts that a learner answers to prompts."""
    return [answer.text for answer in learner.answer([Question(prompt) for prompt in prompts], longest)]


def losses(learner: Any, examples: Sequence[Example]) -> list[float]:
    """Mean cross entropy of each example's answer, nats a token."""
    found = learner.log_likelihoods([Question.of(e) for e in examples], [example.output for example in examples])
    return [one.loss for one in found]
