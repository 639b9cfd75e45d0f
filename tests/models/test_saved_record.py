from __future__ import annotations

import json
from pathlib import Path

import pytest

from inscl.errors import ModelError, WorkspaceError
from inscl.models.saved_record import read_saved_stage, write_saved_stage

IDENTITY = {"learner": "own", "fingerprint": "ab", "adapter": {"r": 4}}


def test_a_state_is_taken_up_by_whom_it_belongs_to(tmp_path: Path) -> None:
    write_saved_stage(tmp_path, 3, "tiny", IDENTITY)
    assert read_saved_stage(tmp_path, IDENTITY) == 3
    record = json.loads((tmp_path / "learner.json").read_text(encoding="utf-8"))
    assert record == {"schema": 1, "stage": 3, "model": "tiny", **IDENTITY}


@pytest.mark.parametrize(("key", "other"), [("learner", "icl"), ("fingerprint", "cd"), ("adapter", {"r": 8})])
def test_whatever_differs_is_named(tmp_path: Path, key: str, other: object) -> None:
    write_saved_stage(tmp_path, 1, "tiny", IDENTITY)
    with pytest.raises(ModelError, match=f"saved with another {key} "):
        read_saved_stage(tmp_path, {**IDENTITY, key: other})


def test_no_state_and_a_damaged_record_are_told(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"holds no saved learner: learner\.json is missing"):
        read_saved_stage(tmp_path, IDENTITY)
    (tmp_path / "learner.json").write_text("{", encoding="utf-8")
    with pytest.raises(WorkspaceError, match=r"learner\.json"):
        read_saved_stage(tmp_path, IDENTITY)
