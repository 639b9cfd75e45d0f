"""Killed anywhere, the same command goes on and ends as if nothing had happened."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from inscl import Workspace
from inscl.contract import Answer
from inscl.doctor.verification import verify
from inscl.errors import UserError, WorkspaceError
from inscl.storage.files.atomic import read_jsonl
from inscl.storage.files.lock import locked
from inscl.storage.memory.store import MemoryStore
from inscl.workspace.recovering import writing
from workspace.conftest import SETTINGS, results


class Killed(BaseException):
    """Nothing catches it, as nothing catches SIGKILL."""


# What is killed, at which call of it, and whether it had done its work.
LEARNING = [
    ("inscl.storage.memory.store.MemoryStore.add", 1, False),
    ("inscl.storage.memory.store.MemoryStore.add", 1, True),
    ("inscl.storage.run.ledger.Ledger.write", 1, True),
    ("inscl.engine.stage.write_plan", 1, True),
    ("workspace.stub.Stub.answer", 1, False),
    ("inscl.workspace.stages.write_histories", 1, True),
    ("inscl.storage.run.stage_record.Record.finish", 1, True),
    ("inscl.storage.run.stage_record.Record.clear_progress", 1, False),
    ("inscl.storage.run.stage_record.Record.clear_progress", 2, False),
    ("inscl.storage.run.ledger.Ledger.write", 2, True),
    ("inscl.engine.overview.summarise", 1, True),
]


def kill(monkeypatch: pytest.MonkeyPatch, target: str, call: int, after: bool) -> None:
    module, _, name = target.rpartition(".")
    owner: Any = __import__("pkgutil").resolve_name(module)
    original, calls = getattr(owner, name), [0]

    def killed(*arguments: Any, **keywords: Any) -> Any:
        calls[0] += 1
        if calls[0] == call:
            if after:
                original(*arguments, **keywords)
            raise Killed
        return original(*arguments, **keywords)

    monkeypatch.setattr(owner, name, killed)


def copied(workspace: Workspace, to: Path) -> Workspace:
    shutil.copytree(workspace.path, to)
    return Workspace.open(to)


def test_learning_that_is_killed_goes_on(
    workspace: Workspace, data: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace.learn(data("upper"))
    files = (data("backwards"), data("length"))
    undisturbed = copied(workspace, tmp_path / "undisturbed")
    undisturbed.learn(*files)
    for number, point in enumerate(LEARNING):
        mine = copied(workspace, tmp_path / f"killed-{number}")
        with monkeypatch.context() as patch:
            kill(patch, *point)
            with pytest.raises(Killed):
                mine.learn(*files)
        mine.learn(*files) if number % 2 or point[0].endswith("add") else mine.learn()
        assert results(mine.path) == results(undisturbed.path), point
        assert len(MemoryStore(mine.path / "memory").keys()) == 3, point
        assert [event.what for event in mine.log()] == ["made", "learned", "learned", "learned"], point
        assert mine.status().unfinished == ()
        assert not [path for path in mine.path.rglob("progress") if path.is_dir()], point


def test_a_task_that_was_begun_goes_on_with_its_settings_or_is_given_up(
    workspace: Workspace, data: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        kill(patch, *LEARNING[4])
        with pytest.raises(Killed):
            workspace.learn(data("upper"), changes=["training.epochs=2"])
    other = ["training.epochs=2", "training.batch_size=1"]
    with pytest.raises(UserError, match=r"upper was begun with other settings \(training.epochs=2\).*rollback 0"):
        workspace.learn(data("upper"), changes=other)
    with pytest.raises(UserError, match="begun with other settings"):
        workspace.learn(eval_per_task=1)
    # How many are asked at once decides nothing.
    workspace.learn(changes=["training.epochs=2", "evaluation.batch_size=1"])
    assert workspace.log()[-1].facts["settings"] == ["training.epochs=2", "evaluation.batch_size=1"]


@pytest.mark.parametrize("point", [LEARNING[2], LEARNING[4], LEARNING[7]])
def test_rows_set_aside_stay_with_their_stage(
    workspace: Workspace, data: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, point: tuple[str, int, bool]
) -> None:
    file = data("upper")
    file.write_text(file.read_text() + '{"no": "fields"}\n')
    with monkeypatch.context() as patch:
        kill(patch, *point)
        with pytest.raises(Killed):
            workspace.learn(file, changes=["stream.skip_bad_rows=true"])
    workspace.learn()
    stage = workspace.path / "stages" / "01-upper"
    assert [row["line"] for row in read_jsonl(stage / "rejected.jsonl")] == [21]
    assert verify(workspace.path) == []
    (stage / "DONE").unlink()
    workspace.learn()
    assert [row["line"] for row in read_jsonl(stage / "rejected.jsonl")] == [21]
    assert verify(workspace.path) == []


def test_making_one_that_is_killed_can_be_repeated(
    model: Path, stub: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for call in range(1, 7):  # manifest.json, inscl.yaml, workspace.json, and the copy of each
        path = tmp_path / str(call)
        with monkeypatch.context() as patch:
            patch.setattr("pathlib.Path.unlink", lambda *_, **__: None)  # a killed writer removes nothing
            kill(patch, "pathlib.Path.replace", call, False)
            with pytest.raises(Killed):
                Workspace.init(path, str(model), changes=SETTINGS)
        assert [file.suffix for file in path.rglob(".*.part")] == [".part"]
        if call < 6:
            Workspace.init(path, str(model), changes=SETTINGS)
        Workspace.open(path)


def test_what_is_unfinished_is_told_and_can_be_given_up(
    workspace: Workspace, data: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace.learn(data("upper"))
    with monkeypatch.context() as patch:
        kill(patch, "workspace.stub.Stub.answer", 1, False)
        with pytest.raises(Killed):
            workspace.learn(data("backwards"), budget=1)
    assert workspace.status().unfinished == ("backwards",)
    assert "inscl learn" in workspace.status().problems[0]
    with pytest.raises(UserError, match="learning backwards was begun and not finished"):
        workspace.learn(data("length"))
    assert workspace.rollback(1).discarded == ("backwards",)
    assert workspace.status().unfinished == ()
    assert len(MemoryStore(workspace.path / "memory").keys()) == 1
    assert [folder.name for folder in (workspace.path / "stages").iterdir()] == ["01-upper"]
    assert workspace.learn(data("length")).learned == ("length",)
    with pytest.raises(UserError, match="nothing to resume"):
        workspace.learn()


@pytest.mark.parametrize(
    ("command", "point"),
    [
        ("rollback", ("inscl.storage.run.ledger.Ledger.write", 1, True)),
        ("rollback", ("inscl.engine.open_run.OpenWorkspace.discarded_record", 2, False)),
        ("rollback", ("inscl.engine.open_run.OpenWorkspace.write_overview", 1, False)),
        ("prune", ("inscl.storage.run.ledger.Ledger.write", 1, True)),
        ("prune", ("inscl.storage.memory.store.MemoryStore.drop", 1, False)),
    ],
)
def test_going_back_that_is_killed_is_put_right_by_the_next_command(
    learned: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str, point: tuple[str, int, bool]
) -> None:
    if command == "prune":
        learned.rollback(1)
    mine = copied(learned, tmp_path / "killed")
    act: Callable[[Workspace], Any] = (lambda w: w.rollback(1)) if command == "rollback" else (lambda w: w.prune())
    act(learned)
    with monkeypatch.context() as patch:
        kill(patch, *point)
        with pytest.raises(Killed):
            act(mine)
    assert mine.status().tasks == learned.status().tasks
    with writing(mine.path):
        pass
    assert results(mine.path) == results(learned.path)
    assert mine.status().discarded == learned.status().discarded
    assert MemoryStore(mine.path / "memory").keys() == MemoryStore(learned.path / "memory").keys()


def test_a_damaged_stage_is_named_and_done_anew_as_it_was(learned: Workspace) -> None:
    before = results(learned.path)
    stage = learned.path / "stages" / "02-backwards"
    rows = (stage / "predictions" / "upper.jsonl").read_bytes()
    (stage / "predictions" / "upper.jsonl").write_bytes(rows[:40] + bytes([rows[40] ^ 1]) + rows[41:])
    with pytest.raises(WorkspaceError, match=r"upper\.jsonl is damaged.*DONE"):
        learned.diff(1, 2)
    (stage / "DONE").unlink()
    assert "stages 2 aren't recorded whole" in learned.status().problems[0]
    assert learned.learn().learned == ()
    assert results(learned.path) == before
    assert learned.status().problems == ()


def test_a_stage_whose_task_was_erased_is_not_done_anew_but_gone_back_from(
    learned: Workspace, data: Callable[..., Path]
) -> None:
    learned.erase("length")
    (learned.path / "stages" / "03-length" / "DONE").unlink()
    with pytest.raises(UserError, match=r"stage 3 .* can.t be done anew: .* of length .*`inscl rollback 2`"):
        learned.learn(data("first"))
    learned.rollback(2)
    assert learned.learn(data("first")).learned == ("first",)
    assert verify(learned.path) == []


def test_scores_of_a_stage_done_anew_on_another_machine_count_even_if_it_is_killed(
    learned: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    (learned.path / "stages" / "02-backwards" / "DONE").unlink()
    with monkeypatch.context() as patch:
        patch.setattr("workspace.stub.Stub.answer", lambda self, asked, **_: [Answer("other")] * len(asked))
        kill(patch, "inscl.engine.open_run.OpenWorkspace.write_overview", 1, False)
        with pytest.raises(Killed):
            learned.learn()
    learned.prune()
    assert verify(learned.path) == []


def test_one_process_writes_at_a_time_and_any_number_look(learned: Workspace, data: Callable[..., Path]) -> None:
    with locked(learned.path):
        with pytest.raises(WorkspaceError, match=r"in use by another inscl process \(pid \d+"):
            learned.learn(data("first"))
        with pytest.raises(WorkspaceError, match="in use"):
            learned.rollback(1)
        assert len(learned.status().tasks) == 3
        assert learned.gate(max_forgetting=5).passed
    assert learned.learn(data("first")).learned == ("first",)
