"""``inscl init``."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from typed import Done, refused


@pytest.mark.parametrize(
    ("adapter", "kind", "mode"), [("merge", "lora", "merge"), ("none", "none", "keep"), ("fresh", "lora", "fresh")]
)
def test_an_adapter_mode(
    typed: Callable[..., Done], tmp_path: Path, model: Path, adapter: str, kind: str, mode: str
) -> None:
    done = typed("init", tmp_path / "ws", "--model", model, "--adapter", adapter, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["adapter"] == adapter
    settings = yaml.safe_load((tmp_path / "ws" / "inscl.yaml").read_text())["model"]
    assert (settings["adapter"]["kind"], settings["adapter"].get("mode", "keep")) == (kind, mode)
    assert (settings["name"], settings["keep"]) == (str(model), "all")


def test_a_learner(typed: Callable[..., Done], tmp_path: Path, model: Path) -> None:
    done = typed("init", tmp_path / "ws", "--model", model, "--learner", "icl", "--set", "training.params={k: fit}")
    assert done.returncode == 0, done.stderr
    settings = yaml.safe_load((tmp_path / "ws" / "inscl.yaml").read_text())["training"]
    assert (settings["learner"], settings["params"]) == ("icl", {"k": "fit"})
    refused(typed("init", tmp_path / "other", "--model", model, "--learner", "ilc"), 2, "icl")
    refused(
        typed("init", tmp_path / "other", "--model", model, "--learner", "icl", "--set", "training.params={k: -1}"),
        2,
        "training.params.k",
    )
    assert not (tmp_path / "other").exists()


def test_what_is_kept(typed: Callable[..., Done], tmp_path: Path, model: Path) -> None:
    done = typed("init", tmp_path / "ws", "--model", model, "--keep", "none", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["keep"] == "none"
    assert yaml.safe_load((tmp_path / "ws" / "inscl.yaml").read_text())["replay"]["strategy"] == "pseudo"
    assert "keeps none" in typed("status", "-w", tmp_path / "ws").stdout
    other = typed("init", tmp_path / "other", "--model", model, "--keep", "none", "--set", "replay.strategy=loss")
    refused(other, 2, "use pseudo")
    assert not (tmp_path / "other").exists()


def test_mistakes(typed: Callable[..., Done], tmp_path: Path, model: Path) -> None:
    refused(typed("init", tmp_path / "ws", "--model", model, "--set", "training.epoch=1"), 2, "epochs")
    refused(typed("init", tmp_path / "ws", "--model", tmp_path / "none"), 1, "none")
    refused(typed("init", tmp_path / "ws", "--model", model, "--adapter", "loose"), 2, "keep")
    assert not (tmp_path / "ws").exists()
    assert typed("init", tmp_path / "ws", "--model", model).returncode == 0
    refused(typed("init", tmp_path / "ws", "--model", model), 2, "holds a workspace already")
