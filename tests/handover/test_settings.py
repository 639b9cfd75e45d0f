from __future__ import annotations

from pathlib import Path

import pytest

from inscl.config.loading import load_config
from inscl.config.settings import RunConfig
from inscl.contract import Example
from inscl.contract.example import Turn
from inscl.handover.settings import Lora, PromptForm, prompt_form, settings_of


def config(model: str, **training: object) -> RunConfig:
    adapter = {"r": 4, "alpha": 6, "dropout": 0.1}
    return load_config({"model": {"name": model, "adapter": adapter, "precision": "fp32"}, "training": training})


def test_a_local_model_is_named_by_its_whole_path(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tiny_model.parent)
    assert settings_of(config(tiny_model.name), "t", PromptForm()).model == str(tiny_model)
    assert settings_of(config("some/model"), "t", PromptForm()).model == "some/model"


@pytest.mark.parametrize("converted", [True, False])
def test_the_default_model_is_named_by_where_its_weights_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, converted: bool
) -> None:
    monkeypatch.setenv("INSCL_CACHE", str(tmp_path))
    folder = tmp_path / "models" / "smollm2-135m" if converted else tmp_path.parent / "snapshot"
    monkeypatch.setattr("inscl.handover.settings.resolve", lambda name: folder)
    made = settings_of(config("smollm2-135m"), "t", PromptForm())
    assert made.model == (str(folder) if converted else "HuggingFaceTB/SmolLM2-135M-Instruct")


def test_everything_else_is_the_runs() -> None:
    training = {"epochs": 1.5, "learning_rate": 2e-4, "batch_size": 3, "max_length": 99, "hf_args": {"max_steps": 5}}
    made = settings_of(config("some/model", **training), "t", PromptForm())
    assert (made.epochs, made.learning_rate, made.batch_size, made.max_length) == (1.5, 2e-4, 3, 99)
    assert (made.lora, made.more, made.bf16, made.task) == (Lora(4, 6, 0.1, "all-linear"), {"max_steps": 5}, False, "t")


def test_what_the_model_sees(tiny_model: Path) -> None:
    chat = prompt_form(str(tiny_model), "chat")
    assert chat == PromptForm(True, "<|start|>user\n", "<|end|>\n<|start|>assistant\n", "<|end|>", "LlamaForCausalLM")
    assert chat.written_out(Example("hi", "", ("x",))) == "<|start|>user\nhi<|end|>\n<|start|>assistant\n"
    said = (Turn("user", "a"), Turn("assistant", "b"), Turn("user", "hi"))
    assert chat.written_out(Example("a", "hi", ("x",), turns=said)) == (
        "<|start|>user\na<|end|>\n<|start|>assistant\nb<|end|>\n<|start|>user\nhi<|end|>\n<|start|>assistant\n"
    )
    plain = prompt_form(str(tiny_model), "plain")
    assert (plain.chat, plain.written_out(Example("hi", "", ("x",))), plain.end) == (False, "hi\n\n", "<|end|>")
