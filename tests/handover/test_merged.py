from __future__ import annotations

import json
import shutil
import warnings
from pathlib import Path
from typing import Any

import pytest

from asking import said
from inscl.config.loading import load_config
from inscl.contract import Example
from inscl.engine.open_run import open_run
from inscl.engine.parts import Parts
from inscl.errors import ConfigError, ModelError, WorkspaceError
from inscl.handover import export
from inscl.storage.files.atomic import read_jsonl
from inscl.storage.run.run_folder import Record


def prompts_of(learned: Path) -> list[str]:
    return [Example.from_json(row).prompt for row in read_jsonl(learned / "stages" / "03-length" / "replay.jsonl")]


def opened(folder: Path, **settings: Any) -> tuple[Any, Any]:
    """Model and tokenizer, as transformers opens them."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    return AutoModelForCausalLM.from_pretrained(folder, **settings), AutoTokenizer.from_pretrained(folder)


def test_transformers_opens_it_and_answers_as_the_learner(learned: Path, tmp_path: Path) -> None:
    import torch

    export(learned, None, tmp_path / "out", merged=True)
    folder = tmp_path / "out" / "model"
    model, tokenizer = opened(folder)
    assert model.dtype == torch.bfloat16
    assert not hasattr(model, "peft_config")
    run = open_run(learned)
    learner = Parts.of(run.settings).new_learner()
    learner.load(run.folder.stage(3).model)  # type: ignore[attr-defined]
    prompts = prompts_of(learned)
    answers = []
    for prompt in prompts:
        chat = [{"role": "user", "content": prompt}]
        ids = tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_tensors="pt", return_dict=True)
        with torch.inference_mode():
            made = model.generate(**ids, max_new_tokens=6, do_sample=False)
        answers.append(tokenizer.decode(made[0, ids["input_ids"].shape[1] :], skip_special_tokens=True).strip())
    # One rounding to bf16 may turn a near tie of this random model, not most answers.
    equal = sum(a == b for a, b in zip(answers, said(learner, prompts, 6), strict=True))
    assert equal >= len(prompts) - 1


def test_the_weights_are_base_and_update_rounded_once(learned: Path, tmp_path: Path, tiny_model: Path) -> None:
    import torch
    from safetensors.torch import load_file

    export(learned, None, tmp_path / "out", merged=True, stage=2)
    merged = load_file(tmp_path / "out" / "model" / "model.safetensors")
    base = load_file(tiny_model / "model.safetensors")
    adapter = load_file(learned / "stages" / "02-backwards" / "model" / "adapter_model.safetensors")
    name = "model.layers.1.mlp.down_proj"
    a, b = (adapter[f"base_model.model.{name}.lora_{side}.weight"].float() for side in "AB")
    expected = base[f"{name}.weight"].float() + 32 / 4 * b @ a
    assert torch.equal(merged[f"{name}.weight"], expected.to(torch.bfloat16))
    assert not torch.equal(merged[f"{name}.weight"], base[f"{name}.weight"].to(torch.bfloat16))
    assert not any("lora" in key for key in merged)


def test_what_other_programs_read(learned: Path, tmp_path: Path) -> None:
    export(learned, None, tmp_path / "out", merged=True)
    folder = tmp_path / "out" / "model"
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    assert config["architectures"] == ["LlamaForCausalLM"]
    assert (config["torch_dtype"], config["dtype"], config["rope_theta"]) == ("bfloat16", "bfloat16", 10000.0)
    assert "quantization_config" not in config
    generation = json.loads((folder / "generation_config.json").read_text(encoding="utf-8"))
    assert (generation["eos_token_id"], generation["pad_token_id"]) == (2, 2)
    assert "<|start|>" in (folder / "chat_template.jinja").read_text(encoding="utf-8")
    assert (
        json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))["tokenizer_class"]
        == "PreTrainedTokenizerFast"
    )
    assert sorted(path.suffix for path in folder.iterdir()) == [".jinja", *[".json"] * 4, ".safetensors"]
    assert not list((tmp_path / "out").glob(".model*"))


def test_an_export_prints_no_warnings_of_libraries(learned: Path, tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", FutureWarning)
        export(learned, None, tmp_path / "out", merged=True)
    assert (tmp_path / "out" / "model" / "model.safetensors").is_file()


def test_stage_0_is_the_model_as_it_came(learned: Path, tmp_path: Path, tiny_model: Path) -> None:
    import torch
    from safetensors.torch import load_file

    export(learned, None, tmp_path / "out", merged=True, stage=0)
    merged, base = (load_file(path / "model.safetensors") for path in (tmp_path / "out" / "model", tiny_model))
    assert all(torch.equal(merged[name], weight.to(torch.bfloat16)) for name, weight in base.items())


def test_weights_that_were_not_kept_or_are_damaged(learned: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(learned, run)
    Record(run / "stages" / "01-upper", 1, "upper").drop_model()
    with pytest.raises(ConfigError, match="not kept"):
        export(run, None, tmp_path / "out", merged=True, stage=1)
    (run / "stages" / "02-backwards" / "model" / "adapter_model.safetensors").write_bytes(b"no")
    with pytest.raises(WorkspaceError, match="adapter_model"):
        export(run, None, tmp_path / "out", merged=True, stage=2)
    assert not (tmp_path / "out" / "model").exists()


def test_a_learner_without_weights_has_nothing_to_merge(
    learned: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    shutil.copytree(learned, run)
    # As another learner leaves it, whose state is recorded in files of its own.
    monkeypatch.setattr(Record, "check", lambda *of: None)
    (run / "stages" / "03-length" / "model" / "learner.json").unlink()
    with pytest.raises(ConfigError, match="export: merged: the learner 'fine_tune' keeps no weights"):
        export(run, None, tmp_path / "out", merged=True)
    assert not (tmp_path / "out" / "model").exists()


def test_a_quantised_model_is_refused(learned: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from inscl.handover.merged import save_merged
    from inscl.models import shared_weights

    settings = load_config(learned / "inscl.yaml")
    read = shared_weights.load

    def quantised(kind: str, folder: Path, **given: Any) -> Any:
        model = read(kind, folder, **given)
        model.config.quantization_config = {"quant_method": "awq"}
        return model

    monkeypatch.setattr(shared_weights, "load", quantised)
    with pytest.raises(ModelError, match="is quantised"):
        save_merged(settings.model, None, tmp_path / "out")
