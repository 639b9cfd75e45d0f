"""Cells side by side on this machine; one that fails doesn't stop the others."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from inscl.bench.grid.cell_process import CellProcess, write_settings
from inscl.bench.grid.grid import Cell
from inscl.bench.grid.pool import Failure
from inscl.errors import InsclError

__all__ = ["run_cells"]


def run_cells(
    cells: Sequence[Cell],
    shared: Path,
    *,
    jobs: int = 1,
    notify: Callable[[str, Cell], None] = lambda event, cell: None,
    finished: Callable[[Cell], None] = lambda cell: None,
    start: Callable[[Path, Path, int], CellProcess] | None = None,
    goes_on: Callable[[], bool] = lambda: True,
) -> list[Failure]:
    """Run cells, `jobs` at a time, in their order; every process gets its part of the cores. See `Pool`.

    Args:
        cells: What to run.
        shared: Folder of the scores that runs have in common.
        jobs: How many at a time.
        notify: Told ``started`` and each cell that starts.
        finished: Told of each that is finished.
        start: Starts the process of a cell: its settings, `shared`, and how many threads it may use. Default:
            `CellProcess.start`.
        goes_on: Asked several times a second; once it says no, the cells that run are interrupted and no other starts.
            What they recorded stays, and they are no failures.
    """
    threads = max(1, _cores() // jobs)
    waiting = list(cells)
    running: list[tuple[Cell, CellProcess]] = []
    failures: list[Failure] = []
    try:
        while (waiting or running) and goes_on():
            while waiting and len(running) < jobs:
                cell = waiting.pop(0)
                notify("started", cell)
                running.append((cell, (start or CellProcess.start)(write_settings(cell), shared, threads)))
            time.sleep(0.2)
            for cell, work in [(cell, work) for cell, work in running if work.process.poll() is not None]:
                running.remove((cell, work))
                work.stream.close()
                if work.process.returncode == 0:
                    try:
                        finished(cell)
                    except InsclError as error:
                        failures.append(Failure(cell, str(error), work.log))
                else:
                    failures.append(Failure(cell, work.reason(), work.log))
    finally:
        for _, work in running:
            work.interrupt()
        for _, work in running:
            work.end()
    return failures


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
