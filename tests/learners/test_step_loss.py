"""Rows taught on several threads, against the same rows taught on one."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from asking import replaying
from inscl.contract.objective import ObjectiveBatch, TaughtExample
from inscl.learners.step_loss import StepLoss
from inscl.models.batches import pack, pad
from inscl.models.objectives.answer import AnswerObjective
from inscl.models.objectives.training_loss import TrainingLoss
from inscl.models.prompts import Encoded
from learners.taught import ADAPTERS, FIRST, SECOND, learner, saved

EXAMPLES = [
    TaughtExample(Encoded([5, 6, 7, 8], 2)),
    TaughtExample(Encoded([9, 10, 11, 12, 13], 2), 0.5, True),
    TaughtExample(Encoded([14, 15, 16], 1)),
]
JOINS = {"pack": pack, "pad": lambda rows: pad(rows, 2)}


class Recording(AnswerObjective):
    """Cross entropy that remembers which thread asked, and for how many examples."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, int]] = []

    def __call__(self, batch: ObjectiveBatch) -> Any:
        self.asked.append((threading.get_ident(), len(batch.examples)))
        return super().__call__(batch)


class Undeclared(Recording):
    """The same, which doesn't say that its examples add up."""

    traits = None


@contextmanager
def threads(count: int) -> Iterator[None]:
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def loaded(tiny_model: Path, dropout: float = 0.0) -> Any:
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.manual_seed(0)
    lora = LoraConfig(
        task_type="CAUSAL_LM", r=4, lora_dropout=dropout, target_modules="all-linear", init_lora_weights=False
    )
    return get_peft_model(AutoModelForCausalLM.from_pretrained(tiny_model), lora).train()


def step(model: Any, join: str, objective: Any, count: int, tokens: int | None = 20) -> tuple[Any, list[Any], Any]:
    """Loss, gradients and the counts of one step with so many threads."""

    def batch(examples: list[TaughtExample]) -> dict[str, Any]:
        return {**JOINS[join]([example.encoded for example in examples]), "examples": list(examples)}

    model.zero_grad()
    loss = TrainingLoss(objective)
    with threads(count):
        found = StepLoss(loss, batch)(model, batch(EXAMPLES), tokens)
        (found * 3).backward()
    return found.detach(), [weight.grad for weight in model.parameters() if weight.requires_grad], loss


@pytest.mark.parametrize("join", JOINS)
@pytest.mark.parametrize("tokens", [20, None], ids=["of a longer step", "of this batch"])
def test_loss_and_gradients_are_those_of_the_undivided_batch(tiny_model: Path, join: str, tokens: int | None) -> None:
    import torch

    model = loaded(tiny_model)
    whole, gradients, counted = step(model, join, Recording(), 1, tokens)
    for count in (2, 8):
        objective = Recording()
        divided, others, also_counted = step(model, join, objective, count, tokens)
        assert len(objective.asked) == min(count, len(EXAMPLES))
        torch.testing.assert_close(divided, whole)
        torch.testing.assert_close(others, gradients, rtol=1e-3, atol=1e-5)
        assert also_counted.tokens == counted.tokens == 7
        assert also_counted.total == pytest.approx(counted.total)


def test_what_may_not_be_divided_is_taught_as_one(tiny_model: Path) -> None:
    def undivided(objective: Recording, model: Any) -> bool:
        step(model, "pack", objective, 2)
        return objective.asked == [(threading.get_ident(), len(EXAMPLES))]

    model = loaded(tiny_model)
    assert undivided(Undeclared(), model)
    assert undivided(Recording(), loaded(tiny_model, dropout=0.1))
    assert not undivided(Recording(), model)
    hook = model.get_output_embeddings().register_forward_hook(lambda *_: None)
    assert undivided(Recording(), model)
    hook.remove()
    model.get_base_model().gradient_checkpointing_enable()
    assert undivided(Recording(), model)


def test_looking_for_chance_leaves_chance_as_it_was(tiny_model: Path) -> None:
    import torch

    model = loaded(tiny_model, dropout=0.1)
    torch.manual_seed(5)
    step(model, "pack", Recording(), 1)
    expected = torch.rand(3)
    torch.manual_seed(5)
    step(model, "pack", Recording(), 2)
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_training_on_several_threads_is_repeatable_and_the_same_but_for_rounding(
    tiny_model: Path, tmp_path: Path, precision: str
) -> None:
    found = []
    for run, count in enumerate((1, 3, 3)):
        with threads(count):
            one = learner(tiny_model, adapter=ADAPTERS["keep"], batching="pack", precision=precision, epochs=1)
            one.learn(SECOND, replaying(FIRST.train[:2]))
        found.append(([row["loss"] for row in one.log], saved(one, tmp_path / str(run))))
    (whole, alone), (losses, state), again = found
    assert (losses, state) == again
    assert state["adapter_model.safetensors"] != alone["adapter_model.safetensors"]  # it was divided
    assert losses == pytest.approx(whole, rel=1e-3 if precision == "fp32" else 3e-2)
