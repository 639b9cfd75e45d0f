"""Tuning against PEFT's own implementation of context-aware prompt tuning, and by what must hold after every step."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from inscl.contract import Example
from inscl.errors import ModelError
from inscl.learners.context_tuning.context import LABEL, SEPARATOR, Context, roles_of
from inscl.learners.context_tuning.encoder import ContextEncoder
from inscl.learners.context_tuning.tuning import Tuning, projected
from inscl.models.language_model import LanguageModel
from inscl.models.prompts import Encoded

EXAMPLES = [Example("Say red", f"please {k}", (f"red{k}",), "red") for k in range(5)]


@pytest.fixture(scope="module")
def model(tiny_model: Path) -> LanguageModel:
    found = LanguageModel(str(tiny_model))
    found.hold()
    return found


@pytest.fixture(scope="module")
def context(model: LanguageModel) -> Context:
    """Two demonstrations in the plain form, in which nothing stands before the context."""
    encoder = ContextEncoder(model.tokenizer, "plain", 512)
    assert encoder.beginning == []
    blocks = [encoder.demonstration(example) for example in EXAMPLES[:2]]
    tokens = np.array([token for block in blocks for token, _ in block])
    types = np.array([role + 4 * n if role else 0 for n, block in enumerate(blocks) for _, role in block])
    members = (("red", EXAMPLES[0].id), ("red", EXAMPLES[1].id))
    return Context("red", ("Say red",), members, members, tokens, types, np.zeros((len(tokens), 32), dtype=np.float32))


@pytest.fixture(scope="module")
def rows(model: LanguageModel, context: Context) -> list[Encoded]:
    soft = range(model.first_soft_token, model.first_soft_token + len(context.tokens))
    encoder = ContextEncoder(model.tokenizer, "plain", 512, list(soft))
    return [encoder.encode(example) for example in EXAMPLES[2:]]


def tuning(model: LanguageModel, **changes: Any) -> Tuning:
    settings = {"epochs": 1, "learning_rate": 1e-2, "batch_size": 1, "decay": 0.7}
    return Tuning(model, **{**settings, "epsilon_input": 0.4, "epsilon_format": 0.2, **changes})


class TheirLoss:
    """The loss of PEFT's model around the same network."""

    def __init__(self, folder: Path, context: Context) -> None:
        from peft import CPTConfig, get_peft_model
        from transformers import AutoModelForCausalLM

        config = CPTConfig(
            task_type="CAUSAL_LM",
            cpt_token_ids=context.tokens.tolist(),
            cpt_mask=[1] * len(context.tokens),
            cpt_tokens_type_mask=context.types.tolist(),
            opt_weighted_loss_type="decay",
            opt_loss_decay_factor=0.7,
            opt_projection_epsilon=0.4,
            opt_projection_format_epsilon=0.2,
        )
        self.model = get_peft_model(AutoModelForCausalLM.from_pretrained(folder), config).eval()
        self.embedding = self.model.prompt_encoder["default"]

    def __call__(self, row: Encoded, start: int) -> Any:
        import torch

        own = torch.tensor([row.tokens[start:]])
        answer = torch.arange(own.shape[1]) >= row.prompt_length - start
        types = torch.where(answer, 4, 2)[None]
        return self.model(input_ids=own, labels=own.clone(), input_type_mask=types).loss


def test_loss_gradient_and_balls_are_those_of_peft(
    model: LanguageModel, context: Context, rows: list[Encoded], tiny_model: Path
) -> None:
    import torch

    theirs, own = TheirLoss(tiny_model, context), tuning(model)
    delta = torch.randn((len(context.tokens), 32), generator=torch.manual_seed(3)) * 0.01
    radii = torch.from_numpy(context.radii(0.4, 0.2))
    theirs.embedding.delta_embedding.weight.data = delta.clone()
    inside = projected(delta, radii)
    # Theirs leaves the tokens that never move a radius of 1e-10.
    assert torch.allclose(theirs.embedding.get_projection(), inside, atol=1e-7)
    moved = inside.clone().requires_grad_()
    for row in rows[:2]:
        with model.softened(context.tokens.tolist(), moved):
            loss, count = own._loss(model.model, context, len(context.tokens), [row], [1.0])
        wanted = theirs(row, len(context.tokens))
        assert loss.item() == pytest.approx(wanted.item(), rel=1e-5)
        assert count == len(context.labels) + len(row.tokens) - row.prompt_length
        (gradient,) = torch.autograd.grad(loss, [moved])
        theirs.embedding.delta_embedding.weight.grad = None
        wanted.backward()
        free = radii[:, None] > 0
        hers = theirs.embedding.delta_embedding.weight.grad
        assert torch.allclose(torch.where(free, gradient, 0), hers, atol=1e-5, rtol=1e-3)
        assert gradient[~free[:, 0]].abs().max() > 0  # what theirs masks, and `tune` too


def test_a_batch_is_the_mean_over_all_its_labels_and_weights_count(
    model: LanguageModel, context: Context, rows: list[Encoded]
) -> None:
    import torch

    start, own = len(context.tokens), tuning(model)
    with model.softened(context.tokens.tolist(), torch.zeros((start, 32))), torch.no_grad():
        single = [own._loss(model.model, context, start, [row], [1.0])[0] for row in rows]
        counts = [len(context.labels) + len(row.tokens) - row.prompt_length for row in rows]
        together, labels = own._loss(model.model, context, start, rows, [1.0] * 3)
        light = own._loss(model.model, context, start, rows[:1], [0.0])[0]
        heavy = own._loss(model.model, context, start, rows[:1], [2.0])[0]
    mean = sum(float(loss) * count for loss, count in zip(single, counts, strict=True)) / sum(counts)
    assert float(together) == pytest.approx(mean, rel=1e-5)
    assert labels == sum(counts) - 2 * len(context.labels)
    assert float(light) + float(heavy) == pytest.approx(2 * float(single[0]), rel=1e-5)


def test_after_every_step_each_token_is_in_its_ball_and_answers_stand_still(
    model: LanguageModel, context: Context, rows: list[Encoded]
) -> None:
    before = {name: value.clone() for name, value in model.model.named_parameters()}
    radii = context.radii(0.4, 0.2)
    still = np.isin(roles_of(context.types), (LABEL, SEPARATOR))
    assert (radii[still] == 0).all()
    assert (radii[~still] > 0).all()
    found: list[list[float]] = []
    lengths = radii * 0
    for steps in range(1, 5):  # the same steps again and one more
        own = tuning(model, epochs=steps / 2, batch_size=2, learning_rate=0.02)
        tuned = own.tune(context, len(context.tokens), rows, [1.0] * 3, np.random.default_rng(0))
        assert len(tuned.took.log) == own.passes.steps(3) == steps
        lengths = np.linalg.norm(tuned.context.delta, axis=1)
        assert (lengths <= radii * 1.00001).all()
        assert (tuned.context.delta[still] == 0).all()
        assert (lengths[~still] > 0).all()
        assert not found or [row["loss"] for row in tuned.took.log[:-1]] == found[-1]
        assert sum(tuned.took.seen) == steps * 3 // 2 + steps % 2
        found.append([row["loss"] for row in tuned.took.log])
    assert np.isclose(lengths[~still], radii[~still]).any()
    again = tuning(model, epochs=20).tune(context, len(context.tokens), rows, [1.0] * 3, np.random.default_rng(0))
    assert again.took.log[-1]["loss"] < again.took.log[0]["loss"]
    assert all(value.equal(before[name]) and value.grad is None for name, value in model.model.named_parameters())
    assert (context.delta == 0).all()


def test_a_loss_that_is_not_finite_is_told(model: LanguageModel, context: Context, rows: list[Encoded]) -> None:
    broken = replace(context, delta=np.full_like(context.delta, np.nan))
    with pytest.raises(ModelError, match=r"training diverged: loss nan at step 1; lower training\.learning_rate"):
        tuning(model).tune(broken, len(context.tokens), rows, [1.0] * 3, np.random.default_rng(0))
