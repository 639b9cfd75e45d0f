from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from inscl.handover import Exported
from typed import Done, refused


def test_a_run_is_exported_beside_itself(inscl: Callable[..., Done], toy: Path, tmp_path: Path) -> None:
    assert inscl("run", toy).returncode == 0
    done = inscl("export", tmp_path / "run", "--to", "trl")
    assert done.returncode == 0, done.stderr
    assert "6 replayed" in done.stdout
    assert (tmp_path / "run-export" / "trl.yaml").exists()


def test_a_run_that_is_the_current_folder_is_exported_beside_itself(
    typed: Callable[..., Done], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out: list[Path] = []

    def export(run: Path, to: str, folder: Path, *_: object, **__: object) -> Exported:
        out.append(folder)
        return Exported(folder, ())

    monkeypatch.setattr("inscl.handover.export", export)
    (tmp_path / "run").mkdir()
    monkeypatch.chdir(tmp_path / "run")
    assert typed("export", ".", "--to", "jsonl").returncode == 0
    assert out == [tmp_path / "run-export"]


def test_what_is_refused(inscl: Callable[..., Done], tmp_path: Path) -> None:
    refused(inscl("export", tmp_path, "--to", "trl"), 2, "no run there")
    refused(inscl("export", tmp_path), 2, "name a target")
