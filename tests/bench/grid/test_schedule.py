"""Processes side by side: one that fails is reported with its own words, and the others go on."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from inscl.bench.grid import schedule
from inscl.bench.grid.grid import Cell
from inscl.bench.grid.schedule import _fewer, _reason, _Running, run_cells
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
        started=lambda one: started.append(one.method),
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


def test_what_an_earlier_attempt_said_is_no_reason(tmp_path: Path) -> None:
    one = cell(tmp_path, "first", tmp_path / "nowhere")
    (tmp_path / "first.log").write_text("error: something long ago\n")
    with (tmp_path / "first.log").open("ab") as stream:
        before = stream.tell()
        stream.write(b"Traceback\nValueError: now\n")
        process = subprocess.Popen([sys.executable, "-c", "raise SystemExit(1)"])
        process.wait()
    assert _reason(_Running(one, process, tmp_path / "first.log", stream, before)) == "ValueError: now"


def test_a_run_that_gives_no_record_has_failed_and_stops_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(one: Cell, shared: Path, threads: int) -> _Running:
        log = tmp_path / f"{one.method}.log"
        return _Running(one, subprocess.Popen([sys.executable, "-c", ""]), log, log.open("ab"), 0)

    def finished(one: Cell) -> None:
        if one.method == "first":
            raise WorkspaceError("its scores are damaged")
        done.append(one.method)

    done: list[str] = []
    monkeypatch.setattr(schedule, "_start", start)
    cells = [cell(tmp_path, name, tmp_path) for name in ("first", "second")]
    (failure,) = run_cells(cells, tmp_path / "shared", finished=finished)
    assert (failure.cell.method, failure.reason, done) == ("first", "its scores are damaged", ["second"])


@pytest.mark.parametrize(
    ("given", "threads", "kept"), [(None, 2, "2"), ("1", 2, "1"), ("8", 2, "2"), ("", 2, "2"), ("many", 2, "2")]
)
def test_a_user_can_ask_for_fewer_threads_but_not_for_more_than_there_are_cores(
    given: str | None, threads: int, kept: str
) -> None:
    assert _fewer(given, threads) == kept
