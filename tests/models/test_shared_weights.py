from __future__ import annotations

import gc
import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest

from asking import NOTHING, said
from inscl.contract import Example, Task
from inscl.embedding.hidden_states import ModelEmbedder
from inscl.learners import FineTune
from inscl.models import shared_weights
from inscl.models.language_model import LanguageModel

TEXTS = ["Say red", "a longer text than that", "", "x"]
TASK = Task("red", tuple(Example("Say red", str(k), ("red",), "red") for k in range(4)))
ADAPTERS = {
    "lora": {"kind": "lora", "r": 4},
    "merge": {"kind": "lora", "r": 4, "mode": "merge"},
    "none": {"kind": "none"},
}


@pytest.fixture(scope="module")
def narrow(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model stored in bf16."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = tmp_path_factory.mktemp("narrow")
    AutoModelForCausalLM.from_pretrained(tiny_model, dtype=torch.bfloat16).save_pretrained(folder)
    AutoTokenizer.from_pretrained(tiny_model).save_pretrained(folder)
    return folder


@pytest.fixture
def rounded(tiny_model: Path, tmp_path: Path) -> Path:
    """The tiny model in float32, in a folder that no other test has read weights of: those may live on."""
    return Path(shutil.copytree(tiny_model, tmp_path / "rounded"))


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The weights that are loaded during a test."""
    gc.collect()
    loaded: list[str] = []
    real = shared_weights.load

    def counted(kind: str, folder: Path, **settings):
        if kind == "AutoModelForCausalLM":
            loaded.append(str(settings["dtype"]))
        return real(kind, folder, **settings)

    monkeypatch.setattr(shared_weights, "load", counted)
    return loaded


def learner(model: Path, **settings) -> FineTune:
    return FineTune(str(model), **{"adapter": ADAPTERS["lora"], "learning_rate": 1e-2, "batch_size": 4, **settings})


def vectors(folder: Path):
    """By transformers itself, in float32."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModel.from_pretrained(folder, dtype=torch.float32).eval()
    rows = []
    for text in TEXTS:
        tokens = tokenizer(text).input_ids or [tokenizer.bos_token_id]
        with torch.no_grad():
            rows.append(model(torch.tensor([tokens])).last_hidden_state[0].mean(0).numpy())
    return np.stack(rows)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("first", ["embedder", "learner"])
def test_embedding_and_teaching_load_one_set(narrow: Path, loads: list[str], precision: str, first: str) -> None:
    embed, one = ModelEmbedder(str(narrow)), learner(narrow, precision=precision)
    expected = vectors(narrow)
    if first == "embedder":
        np.testing.assert_allclose(embed(TEXTS), expected, atol=1e-5)
    one.learn(TASK, NOTHING)
    np.testing.assert_allclose(embed(TEXTS), expected, atol=1e-5)
    one.learn(TASK, NOTHING)
    np.testing.assert_allclose(embed(TEXTS), expected, atol=1e-5)
    assert len(loads) == 1


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_teaching_is_the_same_whoever_reads(narrow: Path, tmp_path: Path, precision: str) -> None:
    states = []
    for read in (False, True):
        one, embed = learner(narrow, precision=precision), ModelEmbedder(str(narrow))
        for _ in range(2):
            if read:
                embed(TEXTS)
            one.learn(TASK, NOTHING)
        folder = tmp_path / str(read)
        folder.mkdir()
        one.save(folder)
        states.append((folder / "adapter_model.safetensors").read_bytes())
        del one, embed
        gc.collect()
    assert states[0] == states[1]


@pytest.mark.parametrize("adapter", ["merge", "none"])
def test_weights_that_are_changed_are_read_from_a_second_copy(narrow: Path, loads: list[str], adapter: str) -> None:
    embed, one = ModelEmbedder(str(narrow)), learner(narrow, adapter=ADAPTERS[adapter])
    embed(TEXTS)
    one.learn(TASK, NOTHING)
    assert len(loads) == 1
    np.testing.assert_allclose(embed(TEXTS), vectors(narrow), atol=1e-5)
    assert len(loads) == 2


def test_an_embedder_holds_weights_as_they_are_stored_and_computes_in_float32(
    narrow: Path, rounded: Path, loads: list[str]
) -> None:
    rows = [[5, 6, 7], [8, 9, 10, 11, 12], [13]]
    compact = LanguageModel(str(narrow), "fp32", compact=True)
    found = compact.hidden_states(rows)
    del compact
    gc.collect()
    assert np.array_equal(found, LanguageModel(str(narrow), "fp32").hidden_states(rows))
    gc.collect()
    assert np.allclose(ModelEmbedder(str(narrow))(TEXTS), vectors(narrow), atol=1e-5)
    ModelEmbedder(str(rounded))(TEXTS)
    assert loads == ["torch.bfloat16", "torch.float32", "torch.bfloat16", "torch.float32"]


def test_rounded_weights_are_not_read_in_float32(rounded: Path, loads: list[str]) -> None:
    one, embed = learner(rounded, precision="bf16"), ModelEmbedder(str(rounded))
    one.learn(TASK, NOTHING)
    np.testing.assert_allclose(embed(TEXTS), vectors(rounded), atol=1e-4)
    assert loads == ["torch.bfloat16", "torch.float32"]


def test_two_learners_do_not_teach_each_other(narrow: Path, loads: list[str]) -> None:
    one, other = learner(narrow, precision="fp32"), learner(narrow, precision="fp32")
    before = said(other, TEXTS, 4)
    for _ in range(8):
        one.learn(TASK, NOTHING)
    assert said(one, ["Say red\n\n1"], 4) != said(other, ["Say red\n\n1"], 4)
    assert said(other, TEXTS, 4) == before
    assert len(loads) == 2


@pytest.mark.parametrize("adapter", ["lora", "none"])
def test_a_learner_after_another_begins_with_the_model_as_it_came(narrow: Path, loads: list[str], adapter: str) -> None:
    keeps = LanguageModel(str(narrow))
    keeps.next_token_distributions([[5]])
    states = []
    for _ in range(2):
        one = learner(narrow, precision="fp32", adapter=ADAPTERS[adapter])
        one.learn(TASK, NOTHING)
        states.append(said(one, TEXTS, 8))
        del one
        gc.collect()
    assert states[0] == states[1]
    assert len(loads) == (1 if adapter == "lora" else 2)


def test_unused_weights_are_forgotten(narrow: Path) -> None:
    one = LanguageModel(str(narrow))
    one.next_token_distributions([[5]])
    weights = one._weights
    assert weights in shared_weights._in_memory
    del one, weights
    gc.collect()
    assert not [kept for kept in shared_weights._in_memory if kept.folder == narrow]


def test_cleared_weights_checkpoint_nothing_and_nobody_is_warned(narrow: Path) -> None:
    weights = shared_weights.borrow(narrow, "cpu", True, False)
    weights.network.gradient_checkpointing_enable()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        weights.clear()
    assert not any(getattr(module, "gradient_checkpointing", False) for module in weights.network.modules())
