"""Reference Trustable Decoding in runs, workspaces and grids: records, resuming, rolling back, erasing."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import inscl
from inscl import Workspace
from inscl.bench import bench
from inscl.engine import stage as stages
from inscl.learners import RTD
from inscl.learners.datastore.store import Datastore
from inscl.storage.files.atomic import read_json
from streams import toy_config, toy_stream
from workspace.conftest import everything

PARAMS = {"k": 4, "mixture": 0.9}


def config(folder: Path, model: Path, name: str) -> dict[str, Any]:
    made = toy_config(folder / "stream", model, folder / name, strategy="none")
    made["model"]["precision"] = "fp32"
    made["training"] = {"learner": "rtd", "params": PARAMS}
    made["evaluation"] |= {"metrics": ["exact_match", "answer_loss"]}
    return made


def kept(run: Path) -> dict[str, bytes]:
    """What must be the same bytes whatever happened on the way."""
    names = ("scores.json", "metrics.json", "predictions/*.jsonl", "model/*", "plan.json")
    return {str(file.relative_to(run)): file.read_bytes() for name in names for file in run.rglob(name)}


def test_a_run_is_recorded_and_one_that_is_killed_ends_with_the_same_bytes(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    toy_stream(tmp_path / "stream")
    whole = inscl.run(config(tmp_path, tiny_model, "whole"))
    report = read_json(whole.path / "stages" / "02-backwards" / "learn.json")
    assert (report["steps"], report["tokens"]) == (0, 0)
    assert whole.metrics["exact_match"]["average_performance"] > 0
    calls = []

    def killed(*arguments: Any, **keywords: Any) -> Any:
        calls.append(arguments)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return evaluate(*arguments, **keywords)

    evaluate = stages.evaluate_together
    with monkeypatch.context() as patch:
        patch.setattr(stages, "evaluate_together", killed)
        with pytest.raises(KeyboardInterrupt):
            inscl.run(config(tmp_path, tiny_model, "killed"))
    assert [path.parent.name for path in (tmp_path / "killed").rglob("DONE")] == ["01-upper"]
    again = inscl.run(config(tmp_path, tiny_model, "killed"))
    assert kept(again.path) == kept(whole.path)
    assert any(name.endswith("datastore.safetensors") for name in kept(whole.path))


def test_a_strategy_that_replays_is_refused_before_anything_is_written(tiny_model: Path, tmp_path: Path) -> None:
    toy_stream(tmp_path / "stream")
    settings = config(tmp_path, tiny_model, "run")
    settings["replay"]["strategy"] = "random"
    with pytest.raises(inscl.InsclError, match=r"replay\.strategy"):
        inscl.run(settings)
    settings["replay"]["strategy"] = "none"
    settings["training"]["params"] = {"neighbors": 4}
    with pytest.raises(inscl.InsclError, match=r"neighbors"):
        inscl.run(settings)
    assert not (tmp_path / "run").exists()


@pytest.fixture
def workspace(tiny_model: Path, tmp_path: Path) -> Workspace:
    changes = [
        "training.learner=rtd",
        "training.params.k=4",
        "replay.strategy=none",
        "replay.embedder=ngrams",
        "replay.tag_embedder=null",
        "model.precision=fp32",
        "evaluation.max_new_tokens=4",
        "evaluation.metrics=[exact_match]",
    ]
    return Workspace.init(tmp_path / "ws", str(tiny_model), changes=changes)


@pytest.fixture
def data(tmp_path: Path) -> Callable[..., Path]:
    def write(name: str, word: str) -> Path:
        rows = [{"instruction": f"Do {name}.", "input": f"{word}{k}", "output": f"{word[::-1]}{k}"} for k in range(12)]
        path = tmp_path / f"{name}.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return path

    return write


def states(workspace: Workspace) -> list[dict[str, bytes]]:
    return [everything(folder) for folder in sorted(workspace.path.glob("stages/*/model"))]


def test_rolled_back_and_learned_again_it_is_the_same(workspace: Workspace, data: Callable[..., Path]) -> None:
    workspace.learn(data("one", "alpha"))
    workspace.learn(data("two", "beta"))
    before = states(workspace)
    workspace.rollback(1)
    workspace.learn(data("two", "beta"))
    assert states(workspace) == before


def test_erased_examples_are_gone_from_every_datastore(
    workspace: Workspace, data: Callable[..., Path], tiny_model: Path
) -> None:
    workspace.learn(data("one", "alpha"))
    workspace.learn(data("two", "beta"))
    folder = sorted(workspace.path.glob("stages/*/model"))[-1]
    learner = RTD(str(tiny_model), precision="fp32", k=4)
    learner.load(folder)
    gone = next(one for one in learner.store.references if one.task == "one")
    workspace.erase(match="^" + gone.answer + "$")
    for folder in workspace.path.glob("stages/*/model"):
        assert gone.id not in {one.id for one in Datastore.read(folder).references}
        held = (folder / "datastore.safetensors").read_bytes()
        assert gone.id.encode() not in held
        assert gone.keys.tobytes() not in held
    workspace.erase("one")
    (first, second) = sorted(workspace.path.glob("stages/*/model"))
    assert Datastore.read(first).references == ()
    assert {one.task for one in Datastore.read(second).references} == {"two"}
    assert workspace.status().problems == ()
    learner.load(second)
    assert np.isfinite(learner.store.keys).all()
    learner.load(first)
    assert len(learner.store) == 0


def test_it_is_a_row_of_a_grid(tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INSCL_CACHE", str(tmp_path / "cache"))
    shared = toy_config(toy_stream(tmp_path / "stream"), tiny_model, tmp_path / "unused")
    method = {"name": "references", "learner": {"name": "rtd", "params": PARAMS}}
    made = bench({"run": shared, "methods": [method], "seeds": [0], "output_dir": str(tmp_path / "grid")}, jobs=1)
    assert not made.failures
    (record,) = (read_json(path) for path in (tmp_path / "grid" / "records").glob("*.json"))
    assert record["cost"]["replayed"] == record["cost"]["steps"] == 0
    assert np.array(record["scores"]["rouge_l"], dtype=float).shape == (4, 3)
