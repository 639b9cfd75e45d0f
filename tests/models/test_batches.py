from __future__ import annotations

from pathlib import Path

import pytest

from inscl.contract.objective import TaughtExample
from inscl.models.adapters.lora import LoRA
from inscl.models.batches import pack, packs_exactly, pad
from inscl.models.objectives.answer import AnswerObjective
from inscl.models.objectives.training_loss import TrainingLoss
from inscl.models.packed_attention import packed_attention
from inscl.models.prompts import Encoded

EXAMPLES = [Encoded([5, 6, 7, 8, 9, 10, 2], 4), Encoded([11, 12, 2], 1), Encoded([*range(20, 40), 2], 15)]
# A conversation: two earlier answers carry loss as well.
TALK = Encoded([*range(40, 60), 2], 18, learned=((3, 5), (9, 12)))


@pytest.fixture(scope="module")
def model(tiny_model: Path):
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(tiny_model)


def reference(model, examples=EXAMPLES):
    """The loss of transformers itself, over the whole vocabulary at every position: its sum and gradients."""
    import torch

    model.zero_grad()
    total = 0
    count = 0
    for example in examples:
        tokens = torch.tensor([example.tokens])
        labels = torch.full_like(tokens, -100)
        for start, end in (*example.learned, (example.prompt_length, len(example.tokens))):
            labels[:, start:end] = tokens[:, start:end]
        answer = int((labels != -100).sum())
        total = total + model(input_ids=tokens, labels=labels).loss * answer
        count += answer
    (total / count).backward()
    return float((total / count).detach()), [parameter.grad.clone() for parameter in model.parameters()]


@pytest.mark.parametrize("examples", [EXAMPLES, [*EXAMPLES, TALK]], ids=["answers", "conversation"])
@pytest.mark.parametrize("join", [pack, lambda examples: pad(examples, 2)], ids=["pack", "pad"])
def test_the_loss_and_its_gradients_are_transformers_own(model, join, examples) -> None:
    import torch

    expected, gradients = reference(model, examples)
    model.zero_grad()
    batch = join(examples)
    labels = batch.pop("labels")
    loss = TrainingLoss(AnswerObjective())
    found = loss(model, batch, model(**batch).logits, labels, [TaughtExample(example) for example in examples])
    found.backward()
    assert float(found.detach()) == pytest.approx(expected, rel=1e-5)
    for parameter, gradient in zip(model.parameters(), gradients, strict=True):
        torch.testing.assert_close(parameter.grad, gradient, rtol=1e-4, atol=1e-6)
    assert loss.tokens == 3 + 2 + 6 + (3 + 2 + 3 if TALK in examples else 0)
    assert loss.total / loss.tokens == pytest.approx(expected, rel=1e-5)


def test_an_accumulated_step_is_divided_by_its_own_count(model) -> None:
    import torch

    expected, _ = reference(model)
    parts = []
    for part in (EXAMPLES[:1], EXAMPLES[1:]):
        batch = pack(part)
        labels = batch.pop("labels")
        loss, taught = TrainingLoss(AnswerObjective()), [TaughtExample(example) for example in part]
        parts.append(float(loss(model, batch, model(**batch).logits, labels, taught, torch.tensor(11)).detach()))
    assert sum(parts) == pytest.approx(expected, rel=1e-5)


def test_the_labels_count_as_trainer_counts() -> None:
    for batch in (pack(EXAMPLES), pad(EXAMPLES, 2)):
        assert int((batch["labels"][..., 1:] != -100).sum()) == 11
        assert batch["labels"][:, 0].tolist() == [-100] * len(batch["labels"])


def test_only_answer_positions_are_projected(model) -> None:
    for batch, kept in ((pack(EXAMPLES), 11), (pad(EXAMPLES, 2), 3 * 7)):
        del batch["labels"]
        logits = model(**batch).logits
        assert logits.shape[0] * logits.shape[1] == kept


def test_packed_attention_gives_what_masked_attention_gives(model) -> None:
    import torch

    batch = pack(EXAMPLES)
    del batch["labels"]
    masked = model(**batch).logits
    with packed_attention(model):
        assert model.config._attn_implementation != "sdpa"
        apart = model(**batch).logits
    assert model.config._attn_implementation == "sdpa"
    torch.testing.assert_close(apart, masked, rtol=1e-4, atol=1e-5)


def test_packed_attention_leaves_sliding_windows_alone(tiny_model: Path) -> None:
    from transformers import MistralConfig, MistralForCausalLM

    config = MistralConfig(
        vocab_size=64, hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2,
        num_key_value_heads=1, sliding_window=4,
    )  # fmt: skip
    model = MistralForCausalLM(config)
    with packed_attention(model):
        assert model.config._attn_implementation == "sdpa"
        assert packs_exactly(model)


def test_packing_is_trusted_only_where_examples_stay_apart(model) -> None:
    assert packs_exactly(model)
    with packed_attention(model):
        assert packs_exactly(model)
    adapted = LoRA().wrap(model, "tiny")
    assert packs_exactly(adapted)
    bare = adapted.unload()
    with packed_attention(bare):
        assert packs_exactly(bare)


def test_a_model_that_looks_across_is_found_out(model, monkeypatch: pytest.MonkeyPatch) -> None:
    original = type(model).forward

    def forgetful(self, input_ids=None, position_ids=None, logits_to_keep=0, **settings):
        return original(self, input_ids=input_ids, logits_to_keep=logits_to_keep, use_cache=False)

    monkeypatch.setattr(type(model), "forward", forgetful)
    assert not packs_exactly(model)
