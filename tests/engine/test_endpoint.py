"""Stages that are scored at a server; whole models at `transformers serve` are in tests/learners/test_served.py."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from inscl.config.identity import deciding_settings
from inscl.config.settings import RunConfig
from inscl.contract.seams import NullProgress
from inscl.engine.endpoint import Endpoint
from inscl.engine.evaluate_stage import evaluate_stage
from inscl.errors import ConfigError, EndpointError, UserError
from inscl.pipeline import run
from model_servers import echo_server, llama_server, write_gguf


def settings_in(folder: Path, model: Path, **endpoint: Any) -> dict[str, Any]:
    return {
        "stream": {"path": "demo", "order": ["route_message", "grade_review"], "train_per_task": 6, "test_per_task": 3},
        "model": {"name": str(model), "precision": "fp32", "adapter": {"kind": "lora", "r": 4}, "keep": "all"},
        "replay": {"strategy": "none"},
        "training": {"epochs": 2, "learning_rate": 0.02, "batch_size": 2},
        "evaluation": {
            "metrics": ["answer_loss", "exact_match"],
            "max_new_tokens": 4,
            "base": True,
            **({"endpoint": {"template": "local", **endpoint}} if endpoint else {}),
        },
        "output_dir": str(folder),
    }


def test_each_stage_is_scored_with_its_own_adapter(tiny_model: Path, tmp_path: Path) -> None:
    asked: list[tuple[str, str]] = []
    here = run(settings_in(tmp_path / "here", tiny_model)).scores.array("answer_loss")
    with echo_server(tiny_model, asked) as url:
        llm = {"model": "base", "base_url": url}
        found = run(settings_in(tmp_path / "there", tiny_model, llm=llm)).scores.array("answer_loss")
        again = evaluate_stage(tmp_path / "there", 1).scores.array("answer_loss")
    np.testing.assert_allclose(found, here, atol=1e-4)
    assert abs(here[2, 0] - here[1, 0]) > 0.01 < abs(here[1, 0] - here[0, 0]), "every stage says something else"
    assert np.isfinite(again[1]).all()
    assert np.isnan(found[1, 1])
    loaded = [name for path, name in asked if path.endswith("/load_lora_adapter") and name != "None"]
    assert loaded == [name for path, name in asked if path.endswith("/unload_lora_adapter")]
    assert loaded[0] == loaded[2] != loaded[1]
    assert {name for path, name in asked if path.endswith("completions")} == {"base", *loaded}


def test_a_server_that_loads_no_adapters_is_told_before_anything_is_learned(tiny_model: Path, tmp_path: Path) -> None:
    file = tmp_path / "tiny.gguf"
    write_gguf(tiny_model, file)
    with llama_server(file, tmp_path) as url:
        with pytest.raises(UserError, match="serves no 'base'"):
            run(settings_in(tmp_path / "run", tiny_model, llm={"model": "base", "base_url": url}))
        with urllib.request.urlopen(f"{url}/models", timeout=60) as answer:
            llm = {"model": json.load(answer)["data"][0]["id"], "base_url": url}
        elsewhere = Endpoint(RunConfig(**settings_in(tmp_path, tiny_model, llm=llm)), NullProgress())
        with pytest.raises(UserError, match="VLLM_ALLOW_RUNTIME_LORA_UPDATING"):
            elsewhere.check()
    assert not list((tmp_path / "run").glob("stages/01-*/learn.json"))


def test_what_cannot_be_served_is_told(tiny_model: Path, tmp_path: Path) -> None:
    nowhere = {"model": "base", "base_url": "http://127.0.0.1:9/v1", "max_retries": 0}
    (tmp_path / "adapter_config.json").touch()
    for adapters, folder in (("folder", tmp_path), ("load", tmp_path / "whole")):
        config = RunConfig(**settings_in(tmp_path, tiny_model, llm=nowhere, adapters=adapters))
        with pytest.raises(UserError, match="set"), Endpoint(config, NullProgress()).serving(folder):
            pass
    with pytest.raises(EndpointError, match="can't be reached"):
        run(settings_in(tmp_path / "run", tiny_model, llm=nowhere))
    with pytest.raises(ConfigError, match=r"evaluation\.endpoint\.llm\.modl"):
        run(settings_in(tmp_path / "other", tiny_model, llm={"modl": "base"}))
    settings = settings_in(tmp_path / "other", tiny_model, llm=nowhere)
    settings["training"] = {"learner": "served", "params": {"llm": nowhere}}
    with pytest.raises(ConfigError, match="saves nothing"):
        run(settings)
    assert not (tmp_path / "other").exists()


def test_where_a_server_is_decides_nothing(tiny_model: Path, tmp_path: Path) -> None:
    def decides(**endpoint: Any) -> dict[str, Any]:
        return deciding_settings(RunConfig(**settings_in(tmp_path, tiny_model, **endpoint)))["evaluation"]

    assert "endpoint" not in decides()
    assert decides(llm="base") == decides(llm={"model": "base", "base_url": "http://127.0.0.1:9/v1"})
    assert decides(llm="base") != decides(llm="other")
