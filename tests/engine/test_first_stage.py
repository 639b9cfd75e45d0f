from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import inscl
from inscl import Workspace
from inscl.config.loading import load_config
from inscl.engine.first_stage import copyable_stage
from inscl.engine.open_run import open_run, start_run
from inscl.errors import ConfigError
from inscl.learners import FineTune
from inscl.storage.files.atomic import read_json
from streams import toy_config, toy_stream

TIMED = {"manifest.json", "seconds.json", "learn.json", "train_log.jsonl", "DONE"}


@pytest.fixture
def config(tmp_path: Path, tiny_model: Path) -> dict[str, Any]:
    made = toy_config(toy_stream(tmp_path / "stream"), tiny_model, tmp_path / "none", strategy="none")
    made["model"]["keep"] = "all"
    return made


def content(folder: Path) -> dict[str, bytes]:
    """Every file of a run that doesn't hold times, by its name."""
    files = (file for file in (folder / "stages").rglob("*") if file.is_file() and file.name not in TIMED)
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in files}


def test_a_copied_first_stage_is_the_learned_one_byte_for_byte(
    config: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inscl.run(config)
    config["replay"]["strategy"] = "random"
    inscl.run({**config, "output_dir": str(tmp_path / "learned")})
    taught: list[str] = []
    learn = FineTune.learn
    monkeypatch.setattr(FineTune, "learn", lambda self, task, plan: taught.append(task.name) or learn(self, task, plan))
    inscl.run({**config, "output_dir": str(tmp_path / "copied")}, beside=tmp_path / "none")
    assert taught == ["backwards", "length"]
    assert content(tmp_path / "copied") == content(tmp_path / "learned")
    # What the stage took is told by whoever learned it.
    stages = (tmp_path / name / "stages" / "01-upper" / "learn.json" for name in ("copied", "none"))
    assert len({stage.read_bytes() for stage in stages}) == 1
    took = [read_json(tmp_path / name / "stages" / "01-upper" / "seconds.json") for name in ("copied", "none")]
    assert took[0].keys() == took[1].keys() >= {"train", "evaluate", "evaluate_text"}
    assert {name for name in took[0] if took[0][name] != took[1][name]} <= {"plan"}


def test_a_folder_without_a_run_to_copy_from_leaves_nothing(config: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no run there"):
        inscl.run(config, beside=tmp_path / "nothing")
    assert not (tmp_path / "none").exists()


def test_a_workspace_that_has_learned_nothing_has_no_stage_to_copy(config: dict[str, Any], tmp_path: Path) -> None:
    Workspace.init(tmp_path / "workspace", config["model"]["name"])
    with start_run(load_config(config)) as target:
        assert copyable_stage(open_run(tmp_path / "workspace"), target) is None


@pytest.mark.parametrize(
    "change", ["seed=1", "training.epochs=2", "stream.order=[backwards,upper,length]", "evaluation.max_new_tokens=5"]
)
def test_a_first_stage_that_would_differ_is_learned(config: dict[str, Any], tmp_path: Path, change: str) -> None:
    inscl.run(config)
    changed = load_config(config, [change, f"output_dir={tmp_path / 'other'}"])
    with start_run(changed) as target:
        assert copyable_stage(open_run(tmp_path / "none"), target) is None
    same = load_config(config, ["replay.strategy=inscl", f"output_dir={tmp_path / 'same'}"])
    with start_run(same) as target:
        assert copyable_stage(open_run(tmp_path / "none"), target) is not None


def test_a_plan_that_rehearses_the_new_task_itself_is_learned(
    config: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inscl.run(config)
    taught: list[str] = []
    learn = FineTune.learn
    monkeypatch.setattr(FineTune, "learn", lambda self, task, plan: taught.append(task.name) or learn(self, task, plan))
    repeated = {**config, "replay": {**config["replay"], "strategy": "repeat"}, "output_dir": str(tmp_path / "repeat")}
    inscl.run(repeated, beside=tmp_path / "none")
    picks = (tmp_path / "repeat" / "stages" / "01-upper" / "replay.jsonl").read_text(encoding="utf-8")
    assert ("upper" in taught) == bool(picks)
