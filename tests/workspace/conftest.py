from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from importlib.metadata import EntryPoint
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from inscl import Workspace
from inscl.config import kinds
from inscl.contract import Answer, Question
from workspace.stub import RULES, Stub

SETTINGS = (
    "training.learner=stub",
    "training.epochs=1",
    "replay.embedder=ngrams",
    "replay.tag_embedder=null",
    "replay.budget.per_task=3",
    "evaluation.metrics=[exact_match, rouge_l]",
)


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The stub learner under the name ``stub``, and a cache of its own."""
    entries = kinds._entries
    entry = EntryPoint("stub", "workspace.stub:Stub", "inscl.learners")
    monkeypatch.setattr(
        kinds, "_entries", lambda kind: {**entries(kind), **({"stub": entry} if kind == "learners" else {})}
    )
    monkeypatch.setenv("INSCL_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """What a model's folder looks like from outside; the stub never opens it."""
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"weights")
    return folder


@pytest.fixture
def data(tmp_path: Path) -> Callable[..., Path]:
    """Writes a task's file: its rule decides what the stub can learn of it."""

    def write(name: str, rule: str | None = None, rows: int = 20, word: str = "") -> Path:
        folder = tmp_path / "data"
        folder.mkdir(exist_ok=True)
        lines = []
        for k in range(rows):
            text = f"{word or name}word{k}"
            row = {"instruction": f"Do the {name} job.", "input": text, "output": RULES[rule or name](text)}
            lines.append(json.dumps(row))
        path = folder / f"{name}.jsonl"
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return path

    return write


@pytest.fixture
def workspace(tmp_path: Path, model: Path, stub: None) -> Workspace:
    return Workspace.init(tmp_path / "ws", str(model), changes=SETTINGS)


@pytest.fixture
def writing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The stub also writes inputs: ``made 1``, ``made 2``, ... of one word each."""
    numbers, answers = count(1), Stub.answer

    def answer(self: Stub, questions: Sequence[Question], max_new_tokens: int = 64) -> list[Answer]:
        asked = [question.instruction.startswith("Write one new input") for question in questions]
        said = answers(self, questions, max_new_tokens)
        return [Answer(f"made{next(numbers)}") if w else a for w, a in zip(asked, said, strict=True)]

    monkeypatch.setattr(Stub, "answer", answer)


@pytest.fixture
def losing(tmp_path: Path, model: Path, stub: None, data: Callable[..., Path]) -> Workspace:
    """Two tasks measured by their loss first; the second made the first forgotten."""
    made = Workspace.init(
        tmp_path / "losing", str(model), changes=[*SETTINGS, "evaluation.metrics=[answer_loss, rouge_l]"]
    )
    made.learn(data("upper"))
    made.learn(data("first"), budget=0)
    return made


@pytest.fixture
def learned(workspace: Workspace, data: Callable[..., Path]) -> Workspace:
    """Three tasks: upper, backwards, length."""
    for name in ("upper", "backwards", "length"):
        workspace.learn(data(name))
    return workspace


def results(folder: Path) -> dict[str, bytes]:
    """What must be the same bytes whatever happened on the way."""
    patterns = (
        "plan.json",
        "replay.jsonl",
        "scores.json",
        "metrics.json",
        "score_history.json",
        "predictions/*.jsonl",
        "known.json",
    )
    return {str(file.relative_to(folder)): file.read_bytes() for p in patterns for file in folder.rglob(p)}


def everything(folder: Path) -> dict[str, Any]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def content(folder: Path) -> dict[str, Any]:
    """The same but for the file that says who held the workspace last."""
    return {name: text for name, text in everything(folder).items() if name != ".lock"}
