"""A cell's process: what it says last is its reason, and it has no more threads than cores."""

from __future__ import annotations

import inspect
import signal
import subprocess
import sys
import textwrap
import time
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


def test_a_cell_of_a_worker_that_blocks_ctrl_c_ends_on_it_at_once(tmp_path: Path) -> None:
    def main() -> None:
        import time

        from inscl.cli.cell import main

        def learn(*_: object, **__: object) -> None:
            print("learning", flush=True)
            time.sleep(60)

        sys.exit(main(sys.argv[1], sys.argv[2], learn))

    code = textwrap.dedent("\n".join(inspect.getsource(main).splitlines()[1:]))
    (tmp_path / "cell.yaml").touch()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # as Ray starts its workers
    try:
        work = CellProcess.start(tmp_path / "cell.yaml", tmp_path, 1, worker=("-c", f"import sys\n{code}"))
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    deadline = time.monotonic() + 60
    while b"learning" not in work.log.read_bytes() and time.monotonic() < deadline:
        time.sleep(0.05)
    work.interrupt()
    assert work.process.wait(15) == 130
    work.end()
