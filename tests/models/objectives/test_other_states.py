"""What an objective reads once more, against plain forward passes of transformers."""

from __future__ import annotations

import copy
import dataclasses
from pathlib import Path
from typing import Any

import pytest

from inscl.contract import Example, Task
from inscl.contract.objective import IGNORED, ObjectiveBatch, TaughtExample
from inscl.contract.plan import Pick, ReplayPlan
from inscl.contract.traits import ObjectiveTraits
from inscl.errors import ModelError
from inscl.models.objectives.answer import AnswerObjective
from learners.taught import ADAPTERS, FIRST, SECOND, learner, weights

PLAN = ReplayPlan("second", "random", tuple(Pick(one, "first", 2) for one in FIRST.train[:2]))
OTHER = Example("Say nothing", "at all", ("green1",))
SMALL = Task("second", SECOND.train[:2])


class Reader:
    """The objective `answer`; keeps what it reads besides."""

    traits = ObjectiveTraits(reads=("now", "before", "base"), prepares=True)

    def __init__(self) -> None:
        self.prepared: list[list[TaughtExample]] = []
        self.seen: list[tuple[list[Example], dict[str, Any]]] = []

    def prepare(self, examples: list[TaughtExample]) -> None:
        self.prepared.append(list(examples))

    def __call__(self, batch: ObjectiveBatch) -> Any:
        texts = [example.example for example in batch.examples]
        states: Any = ("now", "before", "base")
        read = {state: batch.logits_of(state=state) for state in states}
        read["own"] = batch.logits[batch.labels != IGNORED].detach()
        read["graph"] = batch.logits_of(gradients=True)
        assert read["graph"].requires_grad
        assert not any(read[state].requires_grad for state in states)
        read["other"] = batch.logits_of([OTHER, batch.examples[0]], state="before")
        self.seen.append((texts, read))
        return AnswerObjective()(batch)


def reading(one: Any, objective: Any) -> Any:
    one._training = dataclasses.replace(one._training, objective=objective)
    return one


def plainly(network: Any, encoder: Any, examples: list[Example]) -> Any:
    """Logits of the answers' tokens, each example alone."""
    import torch

    rows = []
    for example in examples:
        encoded = encoder.encode(example)
        with torch.no_grad():
            logits = network(input_ids=torch.tensor([encoded.tokens])).logits[0]
        rows.append(logits[encoded.prompt_length - 1 : -1])
    return torch.cat(rows)


@pytest.mark.parametrize("kind", ["keep", "fresh", "osf", "full"])
def test_every_state_is_read_as_it_is_and_training_is_what_it_would_be_without(tiny_model: Path, kind: str) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    batching, at_once = "pack" if kind == "keep" else "length", {"warmup_steps": 0}
    settings = {"adapter": ADAPTERS[kind], "batching": batching, "batch_size": 2, "epochs": 1, "hf_args": at_once}
    objective = Reader()
    plain = reading(learner(tiny_model, **settings), lambda batch: AnswerObjective()(batch))
    one = reading(learner(tiny_model, **settings), objective)
    for each in (plain, one):
        each.learn(FIRST, ReplayPlan.nothing("first"))
    before = copy.deepcopy(one._weights.model).eval()
    plain.learn(SMALL, PLAN)
    one.learn(SMALL, PLAN)
    assert all(map(torch.equal, weights(plain), weights(one)))
    assert one._weights.model.training == plain._weights.model.training
    assert [len(examples) for examples in objective.prepared] == [6, 4]

    base = AutoModelForCausalLM.from_pretrained(tiny_model).eval()
    texts, read = objective.seen[-1]
    near = {"rtol": 1e-4, "atol": 1e-4}
    torch.testing.assert_close(read["base"], plainly(base, one.encoder, texts), **near)
    torch.testing.assert_close(read["before"], plainly(before, one.encoder, texts), **near)
    torch.testing.assert_close(read["other"], plainly(before, one.encoder, [OTHER, texts[0]]), **near)
    torch.testing.assert_close(read["now"], read["own"], **near)
    torch.testing.assert_close(read["graph"].detach(), read["own"], **near)
    assert not torch.allclose(read["before"], read["now"], **near)


def test_a_state_that_the_traits_do_not_name_is_refused(tiny_model: Path) -> None:
    class Undeclared:
        def __call__(self, batch: ObjectiveBatch) -> Any:
            return batch.logits_of(state="base").sum()

    with pytest.raises(ModelError, match=r"reads 'base': it must declare this in its trait `reads`"):
        reading(learner(tiny_model), Undeclared()).learn(SMALL, PLAN)

    with pytest.raises(ValueError, match="several threads"):
        ObjectiveTraits(sums_examples=True, reads=("now",))

    class Backwards:
        traits = ObjectiveTraits(reads=("before",))

        def __call__(self, batch: ObjectiveBatch) -> Any:
            return batch.logits_of(state="before", gradients=True).sum()

    with pytest.raises(ModelError, match="no gradients of the state 'before'"):
        reading(learner(tiny_model), Backwards()).learn(SMALL, PLAN)
