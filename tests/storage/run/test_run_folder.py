from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from inscl.config.loading import load_config
from inscl.contract import Stream
from inscl.errors import WorkspaceError
from inscl.storage.run.run_folder import RunFolder
from inscl.testing import made_task

STREAM = Stream((made_task("a b", 4), made_task("c" * 100, 4)))
MANIFEST: dict[str, Any] = {"plugins": {}, "stream": {"fingerprint": "s"}, "model": {"fingerprint": "m"}}


def opened(path: Path, **values: Any) -> RunFolder:
    return RunFolder.open(path, load_config(values), STREAM, {**MANIFEST})


def test_a_stage_counts_when_it_is_done_and_not_before(tmp_path: Path) -> None:
    folder = opened(tmp_path / "run")
    assert folder.finished() == 0
    for number in (1, 2):
        record = folder.stage(number)
        record.begin()
        record.write_scores({STREAM.names[number - 1]: {"rouge_l": {"mean": 50.0, "standard_error": 1.0, "n": 4}}})
        assert folder.finished() == number - 1
        assert (number, STREAM.names[number - 1]) not in folder.scores().cells
        record.finish()
        assert folder.finished() == number
    assert folder.scores().array()[2, 1] == 50


def test_a_gap_is_not_counted_over(tmp_path: Path) -> None:
    folder = opened(tmp_path / "run")
    folder.stage(2).begin()
    folder.stage(2).finish()
    assert folder.finished() == 0


def test_beginning_again_clears_what_was_left(tmp_path: Path) -> None:
    record = opened(tmp_path / "run").stage(1)
    record.begin()
    record.write("plan.json", {})
    record.begin()
    assert not (record.path / "plan.json").exists()


def test_names_become_safe_folder_names(tmp_path: Path) -> None:
    folder = opened(tmp_path / "run")
    assert folder.stage(1).path.name == "01-a_b"
    assert len(folder.stage(2).path.name) < 100


def test_the_same_run_goes_on_and_another_is_refused(tmp_path: Path) -> None:
    opened(tmp_path / "run")
    opened(tmp_path / "run", evaluation={"experts": True})
    with pytest.raises(WorkspaceError, match=r"training\.epochs was 2\.0, is 3\.0; .*choose another|epochs"):
        opened(tmp_path / "run", training={"epochs": 3})
    with pytest.raises(WorkspaceError, match="model's content has changed"):
        RunFolder.open(tmp_path / "run", load_config({}), STREAM, {**MANIFEST, "model": {"fingerprint": "other"}})


def test_old_weights_are_dropped(tmp_path: Path) -> None:
    folder = opened(tmp_path / "run")
    for number in (1, 2):
        folder.stage(number).model.mkdir(parents=True)
    folder.drop_models(before=2)
    assert not folder.stage(1).model.exists()
    assert folder.stage(2).model.exists()


def test_another_version_of_a_plugin_is_another_run(tmp_path: Path) -> None:
    manifest = {**MANIFEST, "plugins": {"learners/theirs": "package 1.0"}}
    RunFolder.open(tmp_path / "run", load_config({}), STREAM, manifest)
    with pytest.raises(WorkspaceError, match=r"learners/theirs was 'package 1.0', is 'package 1.1'"):
        RunFolder.open(
            tmp_path / "run", load_config({}), STREAM, {**manifest, "plugins": {"learners/theirs": "package 1.1"}}
        )
