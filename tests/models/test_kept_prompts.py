from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from tests.models.test_likelihoods import assert_same, plainly

from inscl.models import likelihoods
from inscl.models.adapters.lora import LoRA
from inscl.models.continuous_decoding import Ending, decode_continuously
from inscl.models.kept_prompts import KeptPrompts
from inscl.models.language_model import LanguageModel
from inscl.models.option_likelihoods import option_likelihoods
from inscl.models.prompts import Encoded

SAME = [7, 8, 9] * 8
PROMPTS = [[*SAME, 20], [*SAME, 30, 31], [*SAME, 30, 31], [40, 41], SAME, [2, 2, 8, 7], [9]]
ANSWERS = [[8, 2], [8, 9, 9, 2], [2], [60, 61, 2], [50, 2], [8, 8, 2], [7, 2]]
EXAMPLES = [Encoded([*prompt, *said], len(prompt)) for prompt, said in zip(PROMPTS, ANSWERS, strict=True)]
OPTIONS = [[[8, 2], [8, 9, 2], [8, 9, 9, 9, 2], [2]], *([[40, 2], [41, 2]] for _ in PROMPTS[1:])]


@pytest.fixture(scope="module", params=["bare", "adapted"])
def model(request: pytest.FixtureRequest, tiny_model: Path):
    import torch
    from transformers import AutoModelForCausalLM

    bare = AutoModelForCausalLM.from_pretrained(tiny_model).eval()
    if request.param == "bare":
        return bare
    adapted = LoRA(r=4).wrap(bare, "tiny").eval()
    torch.manual_seed(1)
    for name, weight in adapted.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.2)
    return adapted


@pytest.fixture(params=[1, 2, 5])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


@pytest.fixture
def read(model, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Tokens of every pass."""
    read: list[int] = []
    embeddings = model.get_input_embeddings()
    plain = embeddings.forward
    monkeypatch.setattr(embeddings, "forward", lambda ids: (read.append(ids.numel()), plain(ids))[1])
    return read


def answered(model, prompts=PROMPTS, most: int = 1 << 30) -> KeptPrompts:
    """What is kept when prompts are answered by four tokens each."""
    import torch

    kept = KeptPrompts(most)
    with torch.inference_mode():
        decode_continuously(model, prompts, Ending(4, frozenset(), lambda answer: False), 3, kept=kept)
    return kept


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize("batch_size", [1, 3, 32])
def test_likelihoods_are_those_of_a_plain_forward_pass(model, batch_size: int) -> None:
    kept = answered(model)
    found = likelihoods.log_likelihoods(model, EXAMPLES, batch_size=batch_size, pad_token=2, kept=kept)
    assert_same(found, [plainly(model, example) for example in EXAMPLES])
    chosen = option_likelihoods(model, PROMPTS, OPTIONS, batch_size=batch_size, pad_token=2, kept=kept)
    for prompt, own, rows in zip(PROMPTS, OPTIONS, chosen, strict=True):
        assert_same(rows, [plainly(model, Encoded([*prompt, *option], len(prompt))) for option in own])


def test_only_the_last_token_of_a_prompt_is_read_again(model, read: list[int]) -> None:
    kept = answered(model)
    read.clear()
    likelihoods.log_likelihoods(model, EXAMPLES[:-1], batch_size=32, pad_token=2, kept=kept)
    # The last token of each answer predicts nothing. Two prompts are the same; their answers differ from the start.
    assert sum(read) <= sum(len(said) for said in ANSWERS[:-1])
    read.clear()
    likelihoods.log_likelihoods(model, EXAMPLES[:-1], batch_size=32, pad_token=2)
    assert sum(read) > len(SAME)


def test_what_options_begin_with_alike_is_read_once_after_a_kept_prompt(model, read: list[int]) -> None:
    import torch

    kept, before = answered(model), torch.get_num_threads()
    read.clear()
    torch.set_num_threads(1)
    try:
        option_likelihoods(model, PROMPTS[:1], OPTIONS[:1], batch_size=32, pad_token=2, kept=kept)
    finally:
        torch.set_num_threads(before)
    assert read == [1 + 4]  # the prompt's last token, then 8, 9, 9, 9


def test_what_is_kept_has_a_limit(model) -> None:
    whole = answered(model)
    sizes = [kept.size_of(len(kept.tokens)) for kept in map(whole.of, PROMPTS) if kept is not None]
    assert len(sizes) == len(PROMPTS) - 1  # of one token nothing needs to be kept
    stored = {id(held): held for held in map(whole.of, PROMPTS)}.values()
    tensors = [one for held in stored if held is not None for layer in held._layers.values() for one in layer]
    assert whole.bytes == sum(one.untyped_storage().nbytes() for one in tensors)
    for most in (0, sizes[0] - 1, sizes[0], whole.bytes - 1):
        kept = answered(model, most=most)
        assert kept.bytes <= most
        held = [prompt for prompt in PROMPTS if kept.of(prompt) is not None]
        assert bool(held) == (most > 0)
        assert len(held) < len(sizes)
        found = likelihoods.log_likelihoods(model, EXAMPLES, batch_size=3, pad_token=2, kept=kept)
        assert_same(found, [plainly(model, example) for example in EXAMPLES])


def test_random_prompts_and_answers(model) -> None:
    generator = np.random.default_rng(5)
    begun = [generator.integers(3, 250, size).tolist() for size in (0, 25, 60)]
    prompts = [[*begun[k % 3], *generator.integers(3, 250, generator.integers(1, 130)).tolist()] for k in range(12)]
    examples = [
        Encoded(
            [*prompts[k % 12], *generator.integers(3, 250, generator.integers(1, 40)).tolist()], len(prompts[k % 12])
        )
        for k in range(24)
    ]
    kept = answered(model, prompts[::2])
    found = likelihoods.log_likelihoods(model, examples, batch_size=5, pad_token=2, kept=kept)
    assert_same(found, [plainly(model, example) for example in examples])


def test_a_model_keeps_prompts_within_a_block_alone(tiny_model: Path) -> None:
    model = LanguageModel(str(tiny_model))
    with model.keeping_prompts():
        model.generate(PROMPTS, max_new_tokens=2)
        outer = model._kept
        assert outer is not None
        assert outer.of(PROMPTS[0]) is not None
        with model.keeping_prompts():
            assert model._kept is not None
            assert model._kept.of(PROMPTS[0]) is None
        assert model._kept is outer
        inside = model.log_likelihoods(EXAMPLES)
    assert model._kept is None
    assert_same(inside, model.log_likelihoods(EXAMPLES))
