"""A learner that keeps examples goes the way of every other: runs, workspaces, erasing, export, comparisons."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import inscl
from inscl import Workspace
from inscl.bench import estimate
from inscl.bench.grid.grid import cells_of, load_grid
from inscl.engine import stage as stages
from inscl.errors import ConfigError, ModelError
from inscl.learners.demonstrations import kept
from inscl.storage.files.atomic import read_json, read_jsonl
from streams import toy_config, toy_stream
from workspace.conftest import everything


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Iterator[dict[str, Any]]:
    folder = tmp_path_factory.mktemp("icl")
    found = toy_config(toy_stream(folder / "stream"), tiny_model, folder / "run", strategy="random")
    training = {"learner": "icl", "params": {"k": 2, "embedder": "ngrams"}, "max_length": 512}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("INSCL_CACHE", str(folder / "cache"))
        yield {
            **found,
            "training": training,
            "evaluation": {"max_new_tokens": 4, "metrics": ["rouge_l", "answer_loss"]},
        }


@pytest.fixture(scope="module")
def whole(config: dict[str, Any]) -> Path:
    """A run that nothing interrupted."""
    return inscl.run(config).path


def results(folder: Path) -> dict[str, bytes]:
    """What must be the same bytes whatever happened on the way."""
    patterns = ("plan.json", "*.jsonl", "learner.json", "scores.json", "metrics.json")
    return {str(file.relative_to(folder)): file.read_bytes() for name in patterns for file in folder.rglob(name)}


def test_a_run_keeps_demonstrations_with_each_stage_and_trains_on_nothing(whole: Path) -> None:
    folder = whole / "stages" / "03-length"
    report = read_json(folder / "learn.json")
    assert (report["tokens"], report["steps"], report["replayed"]) == (0, 0, 6)
    rows = read_jsonl(folder / "model" / "demonstrations.jsonl")
    assert [row["task"] for row in rows] == ["upper"] * 2 + ["backwards"] * 2 + ["length"] * 2
    replayed = {row["id"] for row in read_jsonl(folder / "replay.jsonl")}
    assert {row["id"] for row in rows[:4]} <= replayed
    assert inscl.write_report([whole]).exists()


def test_forgetting_is_zero_where_demonstrations_of_earlier_tasks_stay(config: dict[str, Any], tmp_path: Path) -> None:
    changes = ["replay.strategy=none", "training.params.selection=nearest", f"output_dir={tmp_path}/run"]
    folder = inscl.run(config, overrides=changes).path
    stage = {number: next((folder / "stages").glob(f"{number:02d}-*")) for number in (1, 2, 3)}
    for number, task in ((1, "upper"), (2, "backwards")):
        first, last = (read_jsonl(stage[at] / "predictions" / f"{task}.jsonl") for at in (number, 3))
        assert [row["prediction"] for row in first] == [row["prediction"] for row in last]
        assert [row["likelihood"] for row in first] == [row["likelihood"] for row in last]
    metrics = read_json(folder / "metrics.json")
    assert metrics["rouge_l"]["forgetting"] == metrics["answer_loss"]["forgetting"] == 0


@pytest.mark.parametrize(("step", "stage"), [("learn", 1), ("evaluate_together", 2)])
def test_killed_and_resumed_it_ends_with_the_same_bytes(
    config: dict[str, Any], whole: Path, tmp_path: Path, stage: int, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    given = {**config, "output_dir": str(tmp_path / "again")}
    done = getattr(stages, step)

    def kill(*arguments: Any, **keywords: Any) -> Any:
        found = done(*arguments, **keywords)
        if len(list((tmp_path / "again").rglob("DONE"))) == stage:
            raise Killed
        return found

    with monkeypatch.context() as patch:
        patch.setattr(stages, step, kill)
        with pytest.raises(Killed):
            inscl.run(given)
    inscl.run(given)
    assert results(tmp_path / "again") == results(whole)


@pytest.fixture
def workspace(tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    monkeypatch.setenv("INSCL_CACHE", str(tmp_path / "cache"))
    settings = ("training.learner=icl", "training.params={k: 3, selection: fixed, embedder: ngrams}")
    small = ("replay.embedder=ngrams", "replay.tag_embedder=null", "evaluation.max_new_tokens=3")
    opened = Workspace.init(tmp_path / "ws", str(tiny_model), changes=[*settings, *small])
    folder = tmp_path / "data"
    folder.mkdir()
    for name in ("first", "second"):
        rows = [{"instruction": f"Do {name}.", "input": f"{name}-{k}", "output": f"said {name} {k}"} for k in range(12)]
        rows += [
            {"instruction": f"Do {name} for Xylophonist.", "input": f"Quokka {k}", "output": "z"} for k in range(3)
        ]
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        opened.learn(folder / f"{name}.jsonl")
    return opened


def demonstrations(workspace: Workspace, stage: int) -> list[str]:
    folder = next((workspace.path / "stages").glob(f"{stage:02d}-*"))
    return [row["input"] for row in read_jsonl(folder / "model" / "demonstrations.jsonl")]


def found(text: str, folder: Path) -> list[str]:
    return [name for name, content in everything(folder).items() if text.encode() in content]


def test_an_erased_example_leaves_every_state_and_the_rest_answers_on(workspace: Workspace, tmp_path: Path) -> None:
    gone = demonstrations(workspace, 2)[0]
    assert gone == demonstrations(workspace, 1)[0]
    assert len(found(gone + '"', workspace.path)) == 3
    done = workspace.erase(match=f"{gone}$")
    assert found(gone + '"', workspace.path) == []
    # A state without the example isn't trained on it.
    assert done.trained == ()
    assert workspace.status().problems == ()
    assert [len(demonstrations(workspace, stage)) for stage in (1, 2)] == [2, 5]
    assert workspace.ask("Do first.\n\nfirst-99") == workspace.ask("Do first.\n\nfirst-99", stage=2)
    workspace.learn(tmp_path / "data" / "first.jsonl", name="third")
    assert found(gone + '"', workspace.path / "stages" / "01-first") == []


def test_an_instruction_goes_with_its_last_example(workspace: Workspace) -> None:
    """Its text isn't what the expression finds, and no row of an example holds it."""
    assert found("Xylophonist", workspace.path / "stages" / "01-first" / "model")
    workspace.erase(match="Quokka")
    assert found("Quokka", workspace.path) == found("Xylophonist", workspace.path) == []
    assert demonstrations(workspace, 1)


def test_an_erased_task_leaves_every_state(workspace: Workspace) -> None:
    workspace.rollback(1)
    workspace.erase("second")
    workspace.erase("first")
    for text in ("Do first", "said first", "Do second", "said second"):
        assert found(text, workspace.path) == []
    assert workspace.status().problems == ()
    assert isinstance(workspace.ask("Do first.\n\nx"), str)


def test_an_erasure_that_is_interrupted_in_a_state_is_finished(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = demonstrations(workspace, 1)[0]

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(kept, "write_jsonl", killed)
        with pytest.raises(KeyboardInterrupt):
            workspace.erase(match="Quokka|" + gone)
    assert not [problem for problem in workspace.status().problems if "damaged" in problem]
    workspace.erase(match="Quokka|" + gone)
    assert found("Quokka", workspace.path) == found(f'"{gone}"', workspace.path) == []
    assert workspace.status().problems == ()


def test_rolled_back_it_has_the_demonstrations_of_then(workspace: Workspace) -> None:
    before = workspace.ask("Do first.\n\nfirst-99", stage=1)
    workspace.rollback(1)
    assert workspace.ask("Do first.\n\nfirst-99") == before
    assert workspace.status().tasks[-1].name == "first"


def test_a_model_that_changed_is_refused(workspace: Workspace, tiny_model: Path) -> None:
    path = tiny_model / "config.json"
    content = path.read_text()
    path.write_text(content + " ")
    try:
        with pytest.raises(ModelError, match="another fingerprint"):
            workspace.ask("Do first.")
    finally:
        path.write_text(content)


def test_there_are_no_weights_to_export_and_data_is(workspace: Workspace, tmp_path: Path) -> None:
    from inscl.handover import export

    with pytest.raises(ConfigError, match="the learner icl changes no weights"):
        export(workspace.path, None, tmp_path / "out", merged=True)
    assert not (tmp_path / "out").exists()
    assert export(workspace.path, "trl", tmp_path / "out").new > 0


def test_a_grid_has_it_as_a_row(config: dict[str, Any], tmp_path: Path) -> None:
    shared = {**config, "training": {}}
    row = {"name": "icl", "strategy": "none", "learner": {"name": "icl", "params": {"k": "fit", "embedder": "ngrams"}}}
    grid = {"run": shared, "methods": ["random", row], "seeds": 1, "output_dir": str(tmp_path / "bench")}
    cells = {cell.method: cell for cell in cells_of(load_grid(grid))}
    assert cells["icl"].config.training.learner == "icl"
    (line, _) = estimate(load_grid(grid), only=["icl*"])
    assert line.startswith("icl, upper, backwards, length, no budget, seed 0, ")
    assert re.search(r": 0 tokens, [1-9]\d* answers, about \d+ (s|min)$", line)
    wrong = {**row, "learner": {"name": "icl", "params": {"selektion": "fixed"}}}
    with pytest.raises(ConfigError, match="did you mean 'selection'"):
        load_grid({**grid, "methods": [wrong]})
