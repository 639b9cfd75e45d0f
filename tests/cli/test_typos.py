"""A typo in any parameter, for every kind of component and every command with settings, leaves nothing on disk."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from inscl.config import kinds
from inscl.config.kinds import KINDS, Kind
from streams import toy_config, toy_stream
from typed import Done, refused


def mistyped(kind: Kind, key: str) -> str:
    """An override that gives a component of a kind a parameter that it doesn't have, or names one that isn't there."""
    name = next(iter(kinds.available(kind.name)))
    component = f"{{name: {name}, params: {{mistyped: 1}}}}"
    if kind.params is not None:
        return f"{kind.params}={{mistyped: 1}}"
    if kind.beside:
        return f"{key}={{kind: {name}, mistyped: 1}}"
    if key == "evaluation.metrics":
        return f"{key}=[mistyped]"
    return f"{key}=[{component}]" if key == "stream.refine" else f"{key}={component}"


TYPOS = {
    **{f"{kind.name} at {key}": mistyped(kind, key) for kind in KINDS.values() for key in kind.keys},
    "a section": "training.mistyped=1",
    "an argument of transformers": "training.hf_args={mistyped: 1}",
}


@pytest.fixture
def folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_model: Path, cache: Path, typed: Callable[..., Done]
) -> Path:
    """A working folder with a stream, a configuration, a grid and a workspace."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("INSCL_CACHE", str(cache))
    config = toy_config(toy_stream(tmp_path / "stream"), tiny_model, tmp_path / "run")
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    assert typed("init", "workspace", "--model", tiny_model).returncode == 0
    return tmp_path


def content(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() if path.is_file() else b"" for path in folder.rglob("*")}


def commands(folder: Path, model: Path, change: str) -> Iterator[tuple[object, ...]]:
    """Every command that takes settings, with a change to them."""
    key, _, value = change.partition("=")
    params = {"params": yaml.safe_load(value)}
    own = {"replay.params": {"strategy": {"name": "random", **params}}}
    own["training.params"] = {"strategy": "random", "learner": {"name": "fine_tune", **params}}
    row = {"name": "random", **own.get(key, {"set": {key: yaml.safe_load(value)}})}
    grid = {"run": "run.yaml", "methods": ["none", row], "seeds": 1, "reference": "none", "output_dir": "grid"}
    (folder / "grid.yaml").write_text(yaml.safe_dump(grid), encoding="utf-8")
    yield "run", "run.yaml", "--set", change
    yield "plan", "run.yaml", "--out", "plans", "--set", change
    yield "tag", "run.yaml", "--out", "tags.jsonl", "--set", change
    yield "init", "new", "--model", model, "--set", change
    yield "learn", "stream", "-w", "workspace", "--set", change
    small = ("--set", f"model.name={model}", "--set", change)
    yield "demo", "--out", "demo", *small
    yield "bench", "--stream", "stream", "--out", "bench", *small
    yield "bench", "grid.yaml", "--out", "bench"


@pytest.mark.parametrize("typo", TYPOS)
def test_it_is_told_and_nothing_is_written(
    folder: Path, tiny_model: Path, typed: Callable[..., Done], typo: str
) -> None:
    for command in commands(folder, tiny_model, TYPOS[typo]):
        before = content(folder)
        refused(typed(*command), 2, "mistyped")
        assert content(folder) == before, command


def test_refine_too(folder: Path, typed: Callable[..., Done]) -> None:
    before = content(folder)
    refused(typed("refine", "stream", "refined", "--with", "deduplicate", "--set", "mistyped=1"), 2, "mistyped")
    refused(typed("refine", "stream", "refined", "--with", "mistyped"), 2, "mistyped")
    assert content(folder) == before
