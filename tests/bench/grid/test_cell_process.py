"""A cell's process: what it says last is its reason, and it has no more threads than cores."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from inscl.bench.grid.cell_process import CellProcess, _fewer


def test_what_an_earlier_attempt_said_is_no_reason(tmp_path: Path) -> None:
    (tmp_path / "first.log").write_text("error: something long ago\n")
    with (tmp_path / "first.log").open("ab") as stream:
        before = stream.tell()
        stream.write(b"Traceback\nValueError: now\n")
        process = subprocess.Popen([sys.executable, "-c", "raise SystemExit(1)"])
        process.wait()
    assert CellProcess(process, tmp_path / "first.log", stream, before).reason() == "ValueError: now"


@pytest.mark.parametrize(
    ("given", "threads", "kept"), [(None, 2, "2"), ("1", 2, "1"), ("8", 2, "2"), ("", 2, "2"), ("many", 2, "2")]
)
def test_a_user_can_ask_for_fewer_threads_but_not_for_more_than_there_are_cores(
    given: str | None, threads: int, kept: str
) -> None:
    assert _fewer(given, threads) == kept
