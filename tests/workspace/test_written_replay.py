"""A workspace whose replay the model writes: what is erased takes along what was written for its task."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from inscl import Workspace
from inscl.contract import Example
from inscl.data.export import write_training_file
from inscl.replay.pseudo import PseudoReplay
from inscl.storage.files.atomic import read_json, read_jsonl
from inscl.storage.memory.store import MemoryStore
from workspace.conftest import SETTINGS


@pytest.fixture
def written(workspace: Workspace, data: Callable[..., Path], writing: None) -> Workspace:
    """Three tasks; what is replayed of the earlier ones was written."""
    for name in ("upper", "backwards", "length"):
        workspace.learn(data(name), strategy="pseudo")
    return workspace


def replayed(workspace: Workspace, stage: str) -> list[str]:
    return [row["task"] for row in read_jsonl(workspace.path / "stages" / stage / "replay.jsonl")]


def test_what_is_written_is_learned_and_says_where_it_comes_from(written: Workspace) -> None:
    rows = read_jsonl(written.path / "stages" / "02-backwards" / "replay.jsonl")
    assert [row["task"] for row in rows] == ["upper"] * 3
    for row in rows:
        assert row["outputs"] == [row["input"].upper()]
        assert row["provenance"]["refiner"] == "pseudo"
        assert row["provenance"]["parent"] == []
        assert row["reason"]["written"]
    # The stub forgets every instruction that isn't replayed.
    assert [task.scores["exact_match"].now for task in written.status().tasks] == [100, 100, 100]


def test_erasing_an_example_takes_what_was_written_for_its_task(written: Workspace, tmp_path: Path) -> None:
    store = MemoryStore(written.path / "memory")
    gone = next(example.input for example in store.task("000001").train)
    others = replayed(written, "03-length").count("backwards")
    rows = read_jsonl(written.path / "stages" / "02-backwards" / "replay.jsonl")
    out = written.path / "out"
    write_training_file(out / "rows.jsonl", [Example.from_json(row) for row in rows], "alpaca")
    (out / "export.json").write_text(json.dumps({"schema": 1, "files": ["rows.jsonl"]}))
    done = written.erase(match=f"^{gone}$")
    assert done.examples == {"upper": 1}
    assert read_jsonl(out / "rows.jsonl") == []
    assert [(one.stage, one.how) for one in done.trained] == [(1, "learned"), (2, "replayed"), (3, "replayed")]
    assert replayed(written, "02-backwards") == []
    assert replayed(written, "03-length") == ["backwards"] * others
    plan = read_json(written.path / "stages" / "02-backwards" / "plan.json")
    assert plan["tasks"][0]["allocation"] == len(rows)  # numbers stay
    assert all(row["input"].encode() not in file.read_bytes() for row in rows for file in _files(written.path))
    assert written.status().problems == ()


def test_erasing_a_test_example_leaves_what_was_written(written: Workspace) -> None:
    tested = MemoryStore(written.path / "memory").task("000001").test[0].input
    assert written.erase(match=f"^{tested}$").examples == {"upper": 1}
    assert replayed(written, "02-backwards") == ["upper"] * 3


def _files(folder: Path) -> list[Path]:
    return [file for file in folder.rglob("*") if file.is_file()]


@pytest.fixture
def noting(tmp_path: Path, model: Path, data: Callable[..., Path], writing: None, stub: None) -> Workspace:
    """Two tasks, of each of which a small writer and a bound for the likelihood of answers are kept."""
    settings = (*SETTINGS, "replay.params.writer=adapter")
    workspace = Workspace.init(tmp_path / "noting", str(model), changes=settings, keep="instructions")
    for name in ("upper", "backwards"):
        workspace.learn(data(name))
    return workspace


def test_what_was_noted_of_a_task_is_used_and_goes_with_its_examples(noting: Workspace) -> None:
    stages = noting.path / "stages"
    (noted,) = read_jsonl(stages / "01-upper" / "noted.jsonl")
    # A quarter of a nat a letter of what it can answer.
    assert noted == {"task": "upper", "provenance": {"answer_loss": 0.25, "described": True}}
    assert (stages / "01-upper" / "noted" / "known.json").is_file()
    (share,) = read_json(stages / "02-backwards" / "plan.json")["tasks"]
    assert share["reason"]["most_loss"] == 0.25
    assert len(read_jsonl(stages / "02-backwards" / "replay.jsonl")) == 3
    tested = MemoryStore(noting.path / "memory").task("000001").test[0].input
    noting.erase(match=f"^{tested}$")
    assert (stages / "01-upper" / "noted").is_dir()
    noting.erase("upper")
    assert not (stages / "01-upper" / "noted").exists()
    assert read_jsonl(stages / "01-upper" / "noted.jsonl") == []
    assert (stages / "02-backwards" / "noted").is_dir()
    assert noting.status().problems == ()


def test_notes_in_which_an_input_stands_are_not_kept(
    tmp_path: Path, model: Path, data: Callable[..., Path], writing: None, stub: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = [{"use_case": "about upperword3", "skills": ["reading"]}, {"use_case": "letters", "skills": ["case"]}]
    monkeypatch.setattr(PseudoReplay, "describe", lambda self, task, folder: facts)
    for keep, left in (("none", ["letters"]), ("instructions", ["about upperword3", "letters"])):
        workspace = Workspace.init(tmp_path / keep, str(model), changes=SETTINGS, keep=keep)
        workspace.learn(data("upper"))
        rows = read_jsonl(workspace.path / "stages" / "01-upper" / "noted.jsonl")
        assert [row["provenance"]["use_case"] for row in rows] == left
        workspace.learn(data("backwards"))
        assert workspace.status().problems == ()
