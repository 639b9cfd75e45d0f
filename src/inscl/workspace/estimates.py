"""What a stage will cost, from counted tokens and the measured speed of the stages before it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from inscl.contract import Example, Task
from inscl.contract.plan import ReplayPlan
from inscl.engine.parts import Parts
from inscl.storage.run.ledger import Cost, LearnedTask
from inscl.workspace.plain import Plain

__all__ = ["Estimate", "estimate", "speeds"]


@dataclass(frozen=True)
class Estimate(Plain):
    """What a stage will cost; None where nothing was measured yet.

    Attributes:
        tokens: Tokens to train on, all epochs; counted on a sample.
        replay_tokens: The part of them that is replayed.
        asked: Test examples to be answered.
        seconds: Training and evaluation at the speed of the last stages.
        disk: Bytes that the stage and its examples will take.
    """

    tokens: int
    replay_tokens: int
    asked: int
    seconds: float | None = None
    disk: int | None = None


_COUNTED = 100
"""Examples whose tokens are counted; the rest are taken to be as long on average."""
_RECENT = 3


def estimate(
    parts: Parts, task: Task, plan: ReplayPlan, asked: int, learned: Sequence[LearnedTask], waits: bool = False
) -> Estimate:
    """The cost of one stage.

    Args:
        parts: Tokenizer and epochs.
        task: What is learned.
        plan: What is replayed.
        asked: Test examples to be answered.
        learned: The tasks before it, with what their stages took.
        waits: Whether the strategy trains nothing at this stage.
    """
    if waits:
        return Estimate(0, 0, 0, 0.0, None)
    epochs = parts.epochs
    new = round(epochs * _tokens(parts, task.train))
    old = round(epochs * _tokens(parts, plan.examples))
    train, answer = speeds([entry.cost for entry in learned])
    seconds = None
    if answer is not None and (train is not None or not new + old):
        seconds = (new + old) * (train or 0.0) + asked * answer
    return Estimate(new + old, old, asked, seconds, _disk(task, learned))


def speeds(costs: Sequence[Cost]) -> tuple[float | None, float | None]:
    """Seconds a token of training and seconds an answer, over the last stages that were measured; None without any."""
    recent = [cost for cost in costs if cost.tokens is not None and cost.train is not None][-_RECENT:]
    tokens, seconds = sum(cost.tokens or 0 for cost in recent), sum(cost.train or 0.0 for cost in recent)
    answered = [cost for cost in recent if cost.asked and cost.evaluate is not None]
    asked, waited = sum(cost.asked for cost in answered), sum(cost.evaluate or 0.0 for cost in answered)
    return (seconds / tokens if tokens else None), (waited / asked if asked else None)


def _tokens(parts: Parts, examples: Sequence[Example]) -> float:
    step = max(1, len(examples) // _COUNTED)
    counted = [parts.count_tokens(example) for example in examples[::step]]
    return len(examples) * sum(counted) / len(counted) if counted else 0.0


def _disk(task: Task, learned: Sequence[LearnedTask]) -> int | None:
    """Weights as of the last stage; the texts of the task twice, in the memory and in predictions."""
    known = [entry.cost.model for entry in learned if entry.cost.model]
    if not known:
        return None
    texts = sum(
        len(e.instruction) + len(e.input) + sum(map(len, e.outputs)) for e in (*task.train[:100], *task.test[:100])
    )
    examples = len(task.train) + len(task.test)
    return known[-1] + 2 * round(texts * examples / max(1, len(task.train[:100]) + len(task.test[:100])))
