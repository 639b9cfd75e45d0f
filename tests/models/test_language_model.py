from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from inscl.models.language_model import LanguageModel

TEXTS = [[5, 6, 7], [9] * 20, [30, 31, 32, 33, 34], [100], [2, 2, 8]]


@pytest.fixture(scope="module")
def plain(tiny_model: Path):
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(tiny_model).eval()


def inside(plain, tokens: list[int]):
    import torch

    with torch.no_grad():
        return plain(input_ids=torch.tensor([tokens]), output_hidden_states=True)


@pytest.mark.parametrize("batch_size", [1, 3, 16])
def test_what_may_come_next(tiny_model: Path, plain, batch_size: int) -> None:
    found = LanguageModel(str(tiny_model)).next_token_distributions(TEXTS, batch_size=batch_size)
    expected = [inside(plain, text).logits[0, -1].log_softmax(-1).numpy() for text in TEXTS]
    np.testing.assert_allclose(found, np.stack(expected), atol=1e-4)
    np.testing.assert_allclose(np.exp(found).sum(1), 1, atol=1e-5)


@pytest.mark.parametrize("layer", [-1, 0, 1, 2])
@pytest.mark.parametrize("batch_size", [1, 16])
def test_what_is_inside(tiny_model: Path, plain, layer: int, batch_size: int) -> None:
    model = LanguageModel(str(tiny_model))
    states = [inside(plain, text).hidden_states[layer][0] for text in TEXTS]
    for at, expected in {
        "mean": [state.mean(0) for state in states],
        -1: [state[-1] for state in states],
        0: [state[0] for state in states],
    }.items():
        found = model.hidden_states(TEXTS, layer=layer, at=at, batch_size=batch_size)  # type: ignore[arg-type]
        np.testing.assert_allclose(found, np.stack([state.numpy() for state in expected]), atol=1e-4)


def test_it_says_what_transformers_says(tiny_model: Path, plain) -> None:
    import torch

    model = LanguageModel(str(tiny_model))
    found = model.generate(TEXTS, max_new_tokens=6)
    for text, said in zip(TEXTS, found, strict=True):
        written = plain.generate(torch.tensor([text]), max_new_tokens=6, do_sample=False, pad_token_id=2)[0]
        rest = written[len(text) :].tolist()
        assert said == (rest[: rest.index(2)] if 2 in rest else rest)


def test_transformers_logits_processors_are_the_hooks_of_decoding(tiny_model: Path, plain) -> None:
    import torch
    from transformers import LogitsProcessorList, NoRepeatNGramLogitsProcessor, SuppressTokensLogitsProcessor

    model = LanguageModel(str(tiny_model))
    free = model.generate(TEXTS, max_new_tokens=8)
    hooks = LogitsProcessorList([SuppressTokensLogitsProcessor([free[0][0]]), NoRepeatNGramLogitsProcessor(2)])
    found = model.generate(TEXTS, max_new_tokens=8, processors=hooks)
    assert found != free
    for text, said in zip(TEXTS, found, strict=True):
        settings = {"max_new_tokens": 8, "do_sample": False, "pad_token_id": 2}
        written = plain.generate(torch.tensor([text]), logits_processor=hooks, **settings)[0][len(text) :].tolist()
        assert said == (written[: written.index(2)] if 2 in written else written)


def test_nothing_asked_loads_nothing() -> None:
    model = LanguageModel("smollm2-135m")
    assert model._weights is None


def test_the_longest_context_is_the_configurations(tiny_model: Path) -> None:
    assert LanguageModel(str(tiny_model)).context == 512


def test_a_length_is_cut_to_what_the_model_reads(tiny_model: Path) -> None:
    model = LanguageModel(str(tiny_model))
    assert (model.within_context(100), model.within_context(10_000)) == (100, 512)
