"""What a worker of Ray does for one cell of a grid: see that it has what the cell needs, and run the cell's process."""

from __future__ import annotations

import socket
import time
from dataclasses import dataclass
from pathlib import Path

from inscl.bench.grid.cell_process import CellProcess
from inscl.storage.files.lock import is_held
from inscl.storage.files.provenance import packages

__all__ = ["ATTEMPT", "Order", "run_order"]

ATTEMPT = "cell begins on "
"""What a line of the log begins with at every attempt; the rest of the line is the name of the node."""

_PATIENCE = 120
"""Seconds. NFS releases the locks of a node that is gone after its lease, which is 90 s."""


@dataclass(frozen=True)
class Order:
    """One cell, as it is sent to a worker.

    Attributes:
        settings: The file that `write_settings` wrote, a whole path.
        text: What the file holds.
        run: The run folder.
        shared: Folder of the scores that runs have in common.
        folder: Where relative paths begin.
        threads: How many the cell may use.
        version: inscl's version where the grid was read.
    """

    settings: Path
    text: str
    run: Path
    shared: Path
    folder: Path
    threads: int
    version: str


def run_order(order: Order) -> str:
    """Run a cell's process to its end; returns why the cell failed, or nothing.

    Where the worker of an earlier attempt was lost, its process ends by itself, since its parent is gone; the attempt
    waits for that and goes on from what was recorded.
    """
    here = socket.gethostname()
    if problem := _problem(order):
        return f"node {here}: {problem}"
    with order.settings.with_suffix(".log").open("a", encoding="utf-8") as log:
        log.write(f"{ATTEMPT}{here}\n")
    deadline = time.monotonic() + _PATIENCE
    while is_held(order.run) and time.monotonic() < deadline:
        time.sleep(0.2)
    work = CellProcess.start(order.settings, order.shared, order.threads, order.folder)
    try:
        # Ray interrupts Python code alone, so that waiting must come back to it.
        while work.process.poll() is None:
            time.sleep(0.2)
    finally:
        if work.process.poll() is None:
            work.interrupt()
        work.end()
    return "" if work.process.returncode == 0 else f"node {here}: {work.reason()}"


def _problem(order: Order) -> str:
    """What the node lacks; empty if nothing."""
    version = packages().get("inscl", "unknown")
    if version != order.version:
        return f"inscl {version} is installed, and {order.version} where the grid was read: install the same"
    try:
        text = order.settings.read_text(encoding="utf-8", errors="surrogatepass")
    except OSError:
        text = ""
    if text != order.text:
        return f"{order.settings.parent} isn't the grid's folder here: give an --out that all nodes share"
    if not order.folder.is_dir():
        return f"there is no folder {order.folder}: give the command in a folder that all nodes share"
    return ""
