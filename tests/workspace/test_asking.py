"""A stage is asked, scored and handed on with the settings that it was learned with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from inscl import Workspace, write_report
from inscl.config import kinds
from inscl.contract import Answer, Question
from inscl.engine.evaluate_stage import evaluate_stage
from inscl.engine.open_run import open_run
from inscl.errors import UserError
from inscl.handover import export
from inscl.storage.files.atomic import read_jsonl
from workspace.conftest import SETTINGS
from workspace.stub import Stub


class Telling(Stub):
    """Answers with the settings that it was made and asked with."""

    def __init__(self, precision: str = "", epochs: float = 0, seed: int = 0) -> None:
        super().__init__(seed)
        self.told = f"{precision} {epochs:g}"

    def answer(self, questions: Sequence[Question], max_new_tokens: int = 64) -> list[Answer]:
        return [Answer(f"{self.told} {max_new_tokens}")] * len(questions)


@pytest.fixture
def telling(stub: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tiny_model: Path) -> Workspace:
    entries = kinds._entries
    entry = EntryPoint("telling", "workspace.test_asking:Telling", "inscl.learners")
    monkeypatch.setattr(
        kinds, "_entries", lambda kind: {**entries(kind), **({"telling": entry} if kind == "learners" else {})}
    )
    changes = [*SETTINGS, "training.learner=telling", "model.precision=fp32", "evaluation.max_new_tokens=7"]
    return Workspace.init(tmp_path / "ws", str(tiny_model), changes=changes)


def test_each_stage_is_asked_scored_and_exported_with_its_own_settings(
    telling: Workspace, data: Callable[..., Path], tmp_path: Path
) -> None:
    telling.learn(data("upper"), changes=["evaluation.max_new_tokens=2", "training.max_length=64"])
    telling.learn(data("length"), changes=["model.precision=bf16", "training.epochs=3"])
    expected = {0: "fp32 1 7", 1: "fp32 1 2", 2: "bf16 3 7"}
    for stage, settings in expected.items():
        assert telling.ask("Which settings?", stage) == settings
    assert telling.ask("Which settings?") == expected[2]
    assert telling.ask("Which settings?", 1, max_new_tokens=5) == "fp32 1 5"
    evaluate_stage(telling.path, 0)
    evaluate_stage(telling.path, 1, ["length"])
    for folder, settings in zip(sorted((telling.path / "stages").iterdir()), expected.values(), strict=True):
        asked = [row for file in (folder / "predictions").iterdir() for row in read_jsonl(file)]
        assert {row["prediction"] for row in asked} == {settings}, folder
    for stage, length in ((1, 64), (2, 1024)):
        export(telling.path, "trl", tmp_path / str(stage), stage)
        assert f"max_length: {length}" in (tmp_path / str(stage) / "trl.yaml").read_text()


def test_diff_and_gate_say_that_stages_answer_with_different_settings(
    telling: Workspace, data: Callable[..., Path]
) -> None:
    telling.learn(data("upper"), changes=["training.epochs=3"])
    telling.learn(data("length"), changes=["evaluation.max_new_tokens=2", "model.precision=bf16"])
    (note,) = telling.diff(1, 2).notes
    assert "model.precision is fp32 at stage 1 and bf16 at stage 2" in note
    assert "evaluation.max_new_tokens is 7 at stage 1 and 2 at stage 2" in note
    assert "epochs" not in note
    assert telling.diff(0, 1).notes == ()
    assert telling.gate(max_forgetting=100, metric="rouge_l").notes == (note,)


def test_a_report_tells_the_settings_of_single_stages(telling: Workspace, data: Callable[..., Path]) -> None:
    telling.learn(data("upper"))
    telling.learn(data("length"), changes=["training.epochs=3", "model.precision=bf16"])
    page = write_report([telling.path]).read_text(encoding="utf-8")
    assert "2 length: training.epochs=3, model.precision=bf16" in page
    assert "1 upper:" not in page


def test_an_open_workspace_knows_the_settings_of_every_stage(telling: Workspace, data: Callable[..., Path]) -> None:
    telling.learn(data("upper"))
    telling.learn(data("length"), changes=["training.epochs=3"])
    opened = open_run(telling.path)
    assert [opened.settings_of_stage(stage).training.epochs for stage in (0, 1, 2)] == [1, 1, 3]
    assert opened.settings_of_stage(1) is opened.settings
    assert opened.stream.names == opened.folder.tasks == ("upper", "length")
    with pytest.raises(UserError, match="no stage 3: the workspace has stages 0"):
        telling.ask("Which settings?", 3)
    with pytest.raises(UserError, match="the question is empty"):
        telling.ask("  ")
