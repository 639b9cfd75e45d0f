from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from inscl.errors import UserError, WorkspaceError
from inscl.storage.files.sealed_files import write_sealed_json
from inscl.storage.run.ledger import LEDGER, Discarded, LearnedTask, Ledger


def task(key: str, name: str) -> LearnedTask:
    return LearnedTask(key=key, name=name, fingerprint="f", train=3, test=1)


def test_what_is_written_is_read_and_revisions_count(tmp_path: Path) -> None:
    gone = Discarded(number=1, first=2, when="now", tasks=(task("000002", "b"),))
    made = Ledger(tasks=(task("000001", "a"),), pending=(task("000003", "c"),), discarded=(gone,))
    written = made.write(tmp_path).write(tmp_path)
    assert Ledger.read(tmp_path) == written == made.changed(revision=2)
    assert written.keys == ("000001", "000003", "000002")
    assert written.names == ("a",)


def test_a_damaged_file_is_put_right_from_its_copy_or_named(tmp_path: Path) -> None:
    written = Ledger(tasks=(task("000001", "a"),)).write(tmp_path)
    (tmp_path / LEDGER).write_text("{")
    assert Ledger.read(tmp_path) == written
    (tmp_path / LEDGER).write_text("{")
    shutil.rmtree(tmp_path / ".copies")
    with pytest.raises(WorkspaceError, match=r"workspace\.json is damaged"):
        Ledger.read(tmp_path)


def test_no_workspace_and_one_of_a_newer_inscl(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="inscl init"):
        Ledger.read(tmp_path)
    write_sealed_json(tmp_path / LEDGER, {"schema": 3})
    with pytest.raises(WorkspaceError, match="newer inscl"):
        Ledger.read(tmp_path)
    write_sealed_json(tmp_path / LEDGER, {"schema": 1, "tasks": 3})
    with pytest.raises(WorkspaceError, match="tasks"):
        Ledger.read(tmp_path)


def test_erased_whole_or_in_part() -> None:
    whole = task("1", "a")
    assert not whole.gone
    assert not whole.model_copy(update={"erased": 3}).gone
    assert whole.model_copy(update={"erased": 4}).gone
    assert whole.model_copy(update={"erased": 1, "left_out": 3}).gone
    assert whole.model_copy(update={"erased": 1, "left_out": 1}).left == 2
