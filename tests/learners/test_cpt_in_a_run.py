"""Context-aware prompt tuning in runs, workspaces and grids: records, resuming, rolling back, erasing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import inscl
from inscl import Workspace
from inscl.bench.grid.grid import cells_of, load_grid
from inscl.engine import stage as stages
from inscl.errors import ConfigError
from inscl.learners.context_tuning.contexts import Contexts
from inscl.storage.files.atomic import read_json, read_jsonl
from streams import toy_config, toy_stream
from workspace.conftest import everything

PARAMS = {"k": 2, "embedder": "ngrams"}


def config(folder: Path, model: Path, name: str) -> dict[str, Any]:
    made = toy_config(folder / "stream", model, folder / name, strategy="random")
    made["model"] |= {"precision": "fp32", "keep": "all"}
    made["training"] = {"learner": "cpt", "params": PARAMS, "epochs": 1, "max_length": 512}
    made["evaluation"] |= {"metrics": ["rouge_l", "answer_loss"], "max_new_tokens": 3}
    return made


def kept(run: Path) -> dict[str, bytes]:
    """What must be the same bytes whatever happened on the way."""
    names = ("scores.json", "metrics.json", "predictions/*.jsonl", "model/*", "plan.json")
    return {str(file.relative_to(run)): file.read_bytes() for name in names for file in run.rglob(name)}


def test_a_run_is_recorded_and_one_that_is_killed_ends_with_the_same_bytes(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INSCL_CACHE", str(tmp_path / "cache"))
    toy_stream(tmp_path / "stream")
    whole = inscl.run(config(tmp_path, tiny_model, "whole"))
    folder = whole.path / "stages"
    report = read_json(folder / "02-backwards" / "learn.json")
    assert report["steps"] == len(read_jsonl(folder / "02-backwards" / "train_log.jsonl")) > 0
    assert report["replayed"] > 0
    first, last = (folder / name / "model" / "context-0001.safetensors" for name in ("01-upper", "03-length"))
    assert first.read_bytes() == last.read_bytes()
    assert whole.metrics["rouge_l"]["forgetting"] == whole.metrics["answer_loss"]["forgetting"] == 0
    assert inscl.write_report([whole.path]).exists()
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
    again = inscl.run(config(tmp_path, tiny_model, "killed"))
    assert kept(again.path) == kept(whole.path)


def states(workspace: Workspace) -> list[dict[str, bytes]]:
    return [everything(folder) for folder in sorted(workspace.path.glob("stages/*/model"))]


def test_a_workspace_rolls_back_erases_and_exports(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INSCL_CACHE", str(tmp_path / "cache"))
    settings = ("training.learner=cpt", "training.params={k: 2, replayed: 1, embedder: ngrams}", "training.epochs=1")
    small = ("replay.embedder=ngrams", "replay.tag_embedder=null", "evaluation.max_new_tokens=3")
    more = ("model.precision=fp32", "replay.strategy=random", "replay.budget={per_task: 3}")
    workspace = Workspace.init(tmp_path / "ws", str(tiny_model), changes=[*settings, *small, *more])
    for name in ("one", "two"):
        rows = [{"instruction": f"Do {name}.", "input": f"{name}{k}", "output": f"said{k}"} for k in range(12)]
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        workspace.learn(tmp_path / f"{name}.jsonl")
    before, said = states(workspace), workspace.ask("Do one.\n\none99")
    workspace.rollback(1)
    workspace.learn(tmp_path / "two.jsonl")
    assert states(workspace) == before
    assert workspace.ask("Do one.\n\none99") == said
    folder = sorted(workspace.path.glob("stages/*/model"))[-1]
    shown = Contexts.read(folder).by_task
    assert [task for task, _ in shown["two"].demonstrations] == ["one", "two"]
    gone = shown["one"].demonstrations[0][1]
    (row,) = (one for one in map(json.loads, (tmp_path / "one.jsonl").open()) if _id(one) == gone)
    workspace.erase(match=f"^{row['input']}$")
    for folder in workspace.path.glob("stages/*/model"):
        assert not [path for path, content in everything(folder).items() if gone.encode() in content]
        assert len(Contexts.read(folder).by_task["one"].demonstrations) == 1
    assert workspace.status().problems == ()
    workspace.erase("one")
    (first, second) = sorted(workspace.path.glob("stages/*/model"))
    assert Contexts.read(first).by_task == {}
    assert list(Contexts.read(second).by_task) == ["two"]
    assert [task for task, _ in Contexts.read(second).by_task["two"].demonstrations] == ["two"]
    assert workspace.status().problems == ()
    assert isinstance(workspace.ask("Do two.\n\ntwo1"), str)
    from inscl.handover import export

    with pytest.raises(ConfigError, match="the learner cpt changes no weights"):
        export(workspace.path, None, tmp_path / "out", merged=True)


def _id(row: dict[str, str]) -> str:
    from inscl.contract import Example

    return Example(row["instruction"], row["input"], (row["output"],)).id


def test_it_is_a_row_of_a_grid_whose_mistakes_are_told(tiny_model: Path, tmp_path: Path) -> None:
    toy_stream(tmp_path / "stream")
    shared = {**config(tmp_path, tiny_model, "unused"), "training": {}}
    row = {"name": "cpt", "strategy": "random", "learner": {"name": "cpt", "params": PARAMS}}
    grid = {"run": shared, "methods": [row], "seeds": 1, "output_dir": str(tmp_path / "bench")}
    (cell,) = cells_of(load_grid(grid))
    assert cell.config.training.learner == "cpt"
    wrong = {**row, "learner": {"name": "cpt", "params": {"epsilon_imput": 0.1}}}
    with pytest.raises(ConfigError, match="did you mean 'epsilon_input'"):
        load_grid({**grid, "methods": [wrong]})
