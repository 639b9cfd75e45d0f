"""Cells side by side, each in a process of its own; one that fails doesn't stop the others."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from inscl.bench.grid.grid import Cell
from inscl.data.yaml_values import dump_yaml
from inscl.errors import InsclError
from inscl.storage.files.atomic import write_text

__all__ = ["Failure", "run_cells"]


@dataclass(frozen=True)
class Failure:
    """A cell that did not finish: why, and where its log is."""

    cell: Cell
    reason: str
    log: Path


@dataclass
class _Running:
    cell: Cell
    process: subprocess.Popen[bytes]
    log: Path
    stream: IO[bytes]
    began: int  # bytes of the log that earlier attempts wrote


def run_cells(
    cells: Sequence[Cell],
    shared: Path,
    *,
    jobs: int = 1,
    started: Callable[[Cell], None] = lambda cell: None,
    finished: Callable[[Cell], None] = lambda cell: None,
) -> list[Failure]:
    """Run cells, `jobs` at a time; every process gets its part of the cores.

    Args:
        cells: What to run, in this order.
        shared: Folder of the scores that runs have in common.
        jobs: Processes at a time.
        started: Told when a cell begins.
        finished: Told when a cell's run folder is complete; the cell has failed where this raises an `InsclError`.

    Returns:
        The cells that failed. On Ctrl-C all processes are ended first; what they recorded stays.
    """
    threads = max(1, _cores() // jobs)
    waiting = list(cells)
    running: list[_Running] = []
    failures: list[Failure] = []
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                cell = waiting.pop(0)
                started(cell)
                running.append(_start(cell, shared, threads))
            time.sleep(0.2)
            for work in [work for work in running if work.process.poll() is not None]:
                running.remove(work)
                work.stream.close()
                if work.process.returncode == 0:
                    try:
                        finished(work.cell)
                    except InsclError as error:
                        failures.append(Failure(work.cell, str(error), work.log))
                else:
                    failures.append(Failure(work.cell, _reason(work), work.log))
    finally:
        for work in running:
            work.process.send_signal(signal.SIGINT)
        for work in running:
            _end(work)
    return failures


def _start(cell: Cell, shared: Path, threads: int) -> _Running:
    folder = Path(cell.config.output_dir)
    # Beside the run folder, not in it: a folder that holds anything else is no run's.
    log, settings = folder.with_name(f"{folder.name}.log"), folder.with_name(f"{folder.name}.yaml")
    text = dump_yaml(cell.config.model_dump(mode="json"))
    write_text(settings, text)
    stream = log.open("ab")
    began = stream.tell()
    counts = {name: _fewer(os.environ.get(name), threads) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")}
    process = subprocess.Popen(
        [sys.executable, "-m", "inscl.cli.cell", str(settings), str(shared)],
        stdin=subprocess.DEVNULL,
        stdout=stream,
        stderr=stream,
        env={**os.environ, "TOKENIZERS_PARALLELISM": "false", **counts},
    )
    return _Running(cell, process, log, stream, began)


def _fewer(given: str | None, threads: int) -> str:
    """The user's own number of threads where it is smaller: threads without a core of their own only wait."""
    return given if given is not None and given.isdecimal() and 0 < int(given) < threads else str(threads)


def _end(work: _Running) -> None:
    try:
        work.process.wait(timeout=20)
    except subprocess.TimeoutExpired:
        work.process.kill()
        work.process.wait()
    work.stream.close()


def _reason(work: _Running) -> str:
    """What a process said last, or how it ended; what earlier attempts said in the same log doesn't count."""
    code = work.process.returncode
    if code < 0:
        return f"killed by {signal.Signals(-code).name}; if memory ran out, use fewer --jobs"
    lines = work.log.read_bytes()[work.began :].decode("utf-8", errors="replace").strip().splitlines()
    said = [line for line in lines if line.startswith("error: ")]
    return said[-1].removeprefix("error: ") if said else (lines[-1] if lines else f"exit code {code}")


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
