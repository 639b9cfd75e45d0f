"""What of a folder is kept at an address."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from inscl.errors import WorkspaceError
from inscl.storage.objects.survey import survey
from inscl.storage.run.stage_record import Record


def stage(folder: Path, done: bool) -> Path:
    record = Record(folder, 1, "a")
    record.begin()
    record.write("plan.json", {"picks": 1})
    record.write_rows("rejected.jsonl", [{"a": 1}])
    (folder / "model").mkdir()
    (folder / "model" / "weights").write_bytes(b"w")
    if done:
        record.finish()
    (folder / "progress").mkdir(exist_ok=True)
    (folder / "progress" / "half").write_text("half")
    return folder


def test_unfinished_work_and_what_is_of_the_machine_stays_here(tmp_path: Path) -> None:
    stage(tmp_path / "stages" / "01-a", done=True)
    stage(tmp_path / "stages" / "02-b", done=False)
    for name in (
        ".lock",
        ".x.part",
        "runs/r/inscl.yaml",
        "slurm/cells.sh",
        "shared/x.making",
        "inscl.yaml",
        ".copies/c",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    found = survey(tmp_path)
    finished = {f"stages/01-a/{name}" for name in ("DONE", "plan.json", "rejected.jsonl", "model/weights")}
    assert set(found) == {"inscl.yaml", ".copies/c", "stages/02-b/rejected.jsonl", *finished}
    assert found == survey(tmp_path, trusting=False)
    assert found["inscl.yaml"] == (hashlib.sha256(b"inscl.yaml").hexdigest(), 10)


def test_weights_of_finished_stages_are_not_read_each_time(tmp_path: Path) -> None:
    folder = stage(tmp_path / "stages" / "01-a", done=True)
    before = survey(tmp_path)
    (folder / "model" / "weights").write_bytes(b"x")
    assert survey(tmp_path) == before
    assert survey(tmp_path, trusting=False) != before


def test_a_damaged_seal_is_told(tmp_path: Path) -> None:
    folder = stage(tmp_path / "stages" / "01-a", done=True)
    (folder / "DONE").write_text("{}")
    with pytest.raises(WorkspaceError, match="DONE is damaged"):
        survey(tmp_path)
