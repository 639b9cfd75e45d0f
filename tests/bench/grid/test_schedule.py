"""Processes side by side: one that fails is reported with its own words, and the others go on."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from inscl.bench.grid.cell_process import CellProcess
from inscl.bench.grid.grid import Cell
from inscl.bench.grid.schedule import run_cells
from inscl.config.loading import load_config
from inscl.errors import WorkspaceError


def cell(folder: Path, name: str, stream: Path) -> Cell:
    settings = load_config({"stream": {"path": str(stream)}, "output_dir": str(folder / name)})
    return Cell(name, "as given", 0, None, "smollm2-135m", settings, name)


def test_every_failure_has_its_reason_and_a_log_and_stops_no_other(tmp_path: Path) -> None:
    cells = [cell(tmp_path, name, tmp_path / f"no-{name}") for name in ("first", "second")]
    started: list[str] = []
    finished: list[str] = []
    failures = run_cells(
        cells,
        tmp_path / "shared",
        jobs=2,
        notify=lambda event, one: started.append(one.method),
        finished=lambda one: finished.append(one.method),
    )
    assert (sorted(started), finished) == (["first", "second"], [])
    assert {failure.cell.method for failure in failures} == {"first", "second"}
    for failure in failures:
        assert f"no-{failure.cell.method}" in failure.reason
        assert "Traceback" not in failure.reason
        assert failure.log == tmp_path / f"{failure.cell.method}.log"
        assert failure.log.read_text(encoding="utf-8").strip()
    assert run_cells([], tmp_path / "shared") == []


def test_a_run_that_gives_no_record_has_failed_and_stops_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(settings: Path, shared: Path, threads: int) -> CellProcess:
        log = settings.with_suffix(".log")
        return CellProcess(subprocess.Popen([sys.executable, "-c", ""]), log, log.open("ab"), 0)

    def finished(one: Cell) -> None:
        if one.method == "first":
            raise WorkspaceError("its scores are damaged")
        done.append(one.method)

    done: list[str] = []
    monkeypatch.setattr(CellProcess, "start", start)
    cells = [cell(tmp_path, name, tmp_path) for name in ("first", "second")]
    (failure,) = run_cells(cells, tmp_path / "shared", finished=finished)
    assert (failure.cell.method, failure.reason, done) == ("first", "its scores are damaged", ["second"])
