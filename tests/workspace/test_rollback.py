from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from inscl import Workspace
from inscl.doctor.verification import verify
from inscl.engine.evaluate_stage import evaluate_stage
from inscl.errors import UserError
from inscl.storage.files.atomic import read_json
from inscl.storage.memory.store import MemoryStore
from workspace.conftest import SETTINGS, results


def test_a_workspace_that_has_learned_nothing_is_found_whole(workspace: Workspace, data: Callable[..., Path]) -> None:
    assert verify(workspace.path) == []
    workspace.learn(data("upper"))
    workspace.rollback(0)
    assert verify(workspace.path) == []


def test_model_memory_and_matrix_go_back_together_and_nothing_is_lost_before_prune(
    learned: Workspace, data: Callable[..., Path]
) -> None:
    before = results(learned.path / "stages")
    done = learned.rollback(1)
    assert (done.stage, done.discarded, done.folder) == (1, ("backwards", "length"), "discarded/01")
    status = learned.status()
    assert [task.name for task in status.tasks] == ["upper"]
    assert status.discarded == ("2 backwards", "3 length")
    assert status.discarded_bytes > 0
    assert read_json(learned.path / "scores.json")["tasks"] == ["upper"]
    assert read_json(learned.path / "manifest.json")["stream"]["tasks"][0]["name"] == "upper"
    assert learned.ask("Do the upper job.\n\nabc") == "ABC"
    assert learned.ask("Do the length job.\n\nabc") == "no idea"
    moved = {**results(learned.path / "stages"), **results(learned.path / "discarded" / "01")}
    assert moved == before
    # The same name may come again, and the plan knows only what still counts.
    learned.learn(data("length"))
    assert read_json(learned.path / "stages" / "02-length" / "plan.json")["picks"] == 3
    assert len(MemoryStore(learned.path / "memory").keys()) == 4
    pruned = learned.prune()
    assert pruned.tasks == ("backwards", "length")
    assert pruned.bytes > 0
    assert len(MemoryStore(learned.path / "memory").keys()) == 2
    assert not (learned.path / "discarded").exists()
    assert learned.prune().tasks == ()
    assert [event.what for event in learned.log()][-3:] == ["rolled back", "learned", "pruned"]


def test_back_to_the_model_as_it_came(learned: Workspace, data: Callable[..., Path]) -> None:
    learned.rollback(0)
    assert learned.status().tasks == ()
    assert not (learned.path / "scores.json").exists()
    assert learned.ask("Do the upper job.\n\nabc") == "no idea"
    assert learned.learn(data("length")).status.tasks[0].stage == 1
    assert learned.rollback(1).discarded == ()


def test_a_stage_that_isnt_there_or_has_no_weights(
    learned: Workspace, tmp_path: Path, model: Path, data: Callable[..., Path]
) -> None:
    with pytest.raises(UserError, match=r"no stage 4: the workspace has stages 0 .* to 3"):
        learned.rollback(4)
    with pytest.raises(UserError, match="no stage -1"):
        learned.rollback(-1)
    lean = Workspace.init(tmp_path / "lean", str(model), changes=[*SETTINGS, "model.keep=last"])
    lean.learn(data("upper"), data("backwards"))
    with pytest.raises(UserError, match="weights of stage 1 were not kept"):
        lean.rollback(1)
    assert lean.ask("Do the backwards job.\n\nabc") == "cba"


def test_what_stays_has_no_scores_of_what_was_set_aside(learned: Workspace, data: Callable[..., Path]) -> None:
    evaluate_stage(learned.path, 0)
    evaluate_stage(learned.path, 1, ["length"])
    learned.rollback(2)
    assert verify(learned.path) == []
    # Another task by that name was never asked of those stages.
    learned.learn(data("length", rows=8, word="other"))
    cells = [(cell["stage"], cell["task"]) for cell in read_json(learned.path / "scores.json")["cells"]]
    assert [cell for cell in cells if cell[1] == "length"] == [(3, "length")]
    assert [cell for cell in cells if cell[0] == 0] == [(0, "upper"), (0, "backwards")]
    assert learned.diff(0, 3).tasks[-1].before is None
    assert verify(learned.path) == []


def test_nor_has_it_after_a_rollback_that_was_killed(
    learned: Workspace, data: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluate_stage(learned.path, 0)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("inscl.engine.open_run.OpenWorkspace.discarded_record", killed)
        with pytest.raises(KeyboardInterrupt):
            learned.rollback(2)
    learned.learn(data("first"))
    assert set(read_json(learned.path / "stages" / "00-base" / "scores.json")["tasks"]) == {"upper", "backwards"}
    assert verify(learned.path) == []


def test_a_stage_whose_folder_is_gone_can_be_gone_back_before(learned: Workspace, data: Callable[..., Path]) -> None:
    shutil.rmtree(learned.path / "stages" / "03-length")
    assert learned.rollback(2).discarded == ("length",)
    assert learned.learn(data("first")).learned == ("first",)
    assert verify(learned.path) == []
