"""Soft targets in the loss, against the divergence of scipy over k tokens and all others together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from inscl.config import kinds
from inscl.contract import Example
from inscl.contract.objective import SoftTargets, TaughtExample
from inscl.errors import ConfigError
from inscl.models.batches import pack, pad
from inscl.models.objectives.training_loss import TrainingLoss
from inscl.models.prompts import Encoded
from inscl.testing import check_objective

NEW = Encoded([5, 6, 7, 8], 2)
OLD = Encoded([9, 10, 11, 12, 13], 3, learned=((1, 2),))


@pytest.fixture(scope="module")
def model(tiny_model: Path) -> Any:
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(tiny_model)


def targets(vocabulary: int, k: int = 3) -> SoftTargets:
    """Of an earlier model that held something else likely."""
    nats = np.random.default_rng(1).normal(size=(2, vocabulary)) * 3
    nats -= np.logaddexp.reduce(nats, axis=1, keepdims=True)
    best = np.argsort(-nats, axis=1)[:, :k]
    return SoftTargets(best.astype(np.int32), np.take_along_axis(nats, best, 1).astype(np.float32))


def loss(model: Any, join: Any, examples: list[TaughtExample], **params: Any) -> Any:
    batch = join([example.encoded for example in examples])
    labels = batch.pop("labels")
    objective = kinds.create("objectives", "soft_targets", params)
    return TrainingLoss(objective)(model, batch, model(**batch).logits, labels, examples, 1)


@pytest.mark.parametrize("share", [0.25, 1])
@pytest.mark.parametrize("join", [pack, lambda rows: pad(rows, 2)], ids=["pack", "pad"])
def test_the_loss_is_scipys_divergence_of_k_tokens_and_all_others(model: Any, join: Any, share: float) -> None:
    import torch
    from scipy.special import rel_entr

    soft = targets(model.config.vocab_size)
    taught = [TaughtExample(NEW), TaughtExample(OLD, 0.5, True, soft=soft)]
    found = loss(model, join, taught, share=share)
    rows = []
    for encoded in (NEW, OLD):
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([encoded.tokens])).logits[0].double()
        rows.append(logits.log_softmax(-1).numpy())
    cross = [
        [-row[place - 1, one.tokens[place]] for place in one.positions]
        for row, one in zip(rows, (NEW, OLD), strict=True)
    ]
    wanted = sum(cross[0]) + 0.5 * cross[1][0]  # an earlier answer has no soft targets
    for t, place in enumerate((3, 4)):
        p, q = np.exp(rows[1][place - 1][soft.tokens[t]]), np.exp(soft.log_probabilities[t].astype(float))
        p, q = np.append(p, 1 - p.sum()), np.append(q, 1 - q.sum())
        wanted += 0.5 * ((1 - share) * cross[1][1 + t] + share * rel_entr(q, p).sum())
    assert float(found.detach()) == pytest.approx(wanted, rel=1e-4)


def test_a_model_that_is_its_own_target_has_nothing_to_learn(model: Any) -> None:
    from inscl.models.soft_targets import soft_targets

    (own,) = soft_targets(model.eval(), [OLD], 16, batch_size=1, pad_token=2)
    plain = Encoded(OLD.tokens, OLD.prompt_length)
    found = loss(model, pack, [TaughtExample(plain, replayed=True, soft=own)], share=1)
    found.backward()
    assert float(found.detach()) == pytest.approx(0, abs=1e-5)
    assert max(float(weight.grad.abs().max()) for weight in model.parameters()) < 1e-3
    model.zero_grad()


def test_without_kept_targets_it_is_cross_entropy(model: Any) -> None:
    examples = [TaughtExample(NEW), TaughtExample(OLD, 0.5, True, example=Example("a", "", ("b",)))]
    batch = pack([example.encoded for example in examples])
    labels = batch.pop("labels")
    answer = TrainingLoss(kinds.create("objectives", "answer"))
    plain = answer(model, batch, model(**batch).logits, labels, examples, 1)
    assert float(loss(model, pack, examples).detach()) == pytest.approx(float(plain.detach()), rel=1e-6)


def test_it_keeps_the_contract_and_refuses_values_that_mean_nothing() -> None:
    check_objective(lambda: kinds.create("objectives", "soft_targets"))
    assert kinds.create("objectives", "soft_targets", {"top": 4}).traits.soft_targets == 4
    with pytest.raises(ConfigError, match="share: must be above 0 and at most 1"):
        kinds.create("objectives", "soft_targets", {"share": 0})
    with pytest.raises(ConfigError, match="top: must be a whole number"):
        kinds.create("objectives", "soft_targets", {"top": 0})
