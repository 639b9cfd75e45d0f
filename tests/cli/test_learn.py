"""``inscl learn``."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from inscl import Workspace
from inscl.cli import learn as command
from typed import Done, refused


def test_it_shows_the_plan_its_cost_and_how_things_stand(
    typed: Callable[..., Done], learned: Workspace, data: Callable[..., Path]
) -> None:
    dry = typed("learn", data("first"), "-w", learned.path, "--dry-run", "--budget", "2")
    assert dry.returncode == 0, dry.stderr
    assert "stage 4 first" in dry.stdout
    assert "tokens of training" in dry.stdout
    assert "on disk" in dry.stdout
    assert len(learned.status().tasks) == 3
    done = typed("learn", data("first"), "-w", learned.path, "--yes", "--json", "--budget", "2")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["learned"] == ["first"]
    assert found["status"]["tasks"][3]["scores"]["exact_match"]["now"] == 100.0
    again = typed("learn", data("first"), "-w", learned.path)
    assert again.returncode == 0
    assert "nothing new to learn" in again.stdout
    assert "learned already, at stage 4" in again.stdout


def test_the_current_folder_is_the_workspace(
    typed: Callable[..., Done], workspace: Workspace, data: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = data("upper")
    monkeypatch.chdir(workspace.path)
    done = typed("learn", file, "--name", "capitals")
    assert done.returncode == 0, done.stderr
    assert "capitals" in done.stdout
    assert json.loads(typed("status", "--json").stdout)["tasks"][0]["name"] == "capitals"


def test_on_a_terminal_it_asks(
    typed: Callable[..., Done], workspace: Workspace, data: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def answer(question: str, **_: object) -> bool:
        asked.append(question)
        return len(asked) > 1

    for stream in ("stdin", "stderr"):
        monkeypatch.setattr(getattr(command.sys, stream), "isatty", lambda: True)
    monkeypatch.setattr(command.typer, "confirm", answer)
    refusal = typed("learn", data("upper"), "-w", workspace.path)
    assert refusal.returncode == 1
    assert workspace.status().tasks == ()


def test_mistakes(typed: Callable[..., Done], learned: Workspace, data: Callable[..., Path], tmp_path: Path) -> None:
    where = ("-w", learned.path)
    refused(typed("learn", tmp_path / "none.jsonl", *where), 2, "no such file")
    refused(typed("learn", *where), 2, "nothing to resume")
    refused(typed("learn", data("first"), "-w", tmp_path), 2, "no workspace there")
    refused(typed("learn", data("first"), *where, "--budget", "many=3"), 2, "many")
    refused(typed("learn", data("first"), *where, "--strategy", "inscll"), 2, "did you mean 'inscl'")
    refused(typed("learn", data("upper", rows=5, word="x"), *where), 2, "--name")
    assert len(learned.status().tasks) == 3
