"""One cell in a process of its own, which writes a log beside the run folder."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from inscl.bench.grid.grid import Cell
from inscl.data.yaml_values import dump_yaml
from inscl.storage.files.atomic import write_text

__all__ = ["WORKER", "CellProcess", "log_of", "write_settings"]

WORKER = ("-m", "inscl.cli.cell")
"""What Python is started with to run a cell; the files of `CellProcess.start` follow."""


def log_of(cell: Cell) -> Path:
    """Where a cell's process writes what it says. Beside the run folder: one that holds anything else is no run's."""
    folder = Path(cell.config.output_dir)
    return folder.with_name(f"{folder.name}.log")


def write_settings(cell: Cell) -> Path:
    """Write the configuration that a cell's process reads; returns the file, which is beside the run folder."""
    path = log_of(cell).with_suffix(".yaml")
    write_text(path, dump_yaml(cell.config.model_dump(mode="json")))
    return path


@dataclass
class CellProcess:
    """A cell that runs.

    Attributes:
        process: Its process.
        log: What it says; earlier attempts wrote in it too.
        stream: The log, open.
        began: Bytes of the log that were there before.
    """

    process: subprocess.Popen[bytes]
    log: Path
    stream: IO[bytes]
    began: int

    @classmethod
    def start(
        cls,
        settings: Path,
        shared: Path,
        threads: int,
        folder: Path | None = None,
        worker: Sequence[str] = WORKER,
    ) -> CellProcess:
        """Start a cell.

        Args:
            settings: What `write_settings` wrote.
            shared: Folder of the scores that runs have in common.
            threads: How many it may use.
            folder: Where relative paths begin; default: the current folder.
            worker: What Python is started with.
        """
        log = settings.with_suffix(".log")
        stream = log.open("ab")
        began = stream.tell()
        counts = {name: _fewer(os.environ.get(name), threads) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")}
        process = subprocess.Popen(
            [sys.executable, *worker, str(settings), str(shared)],
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            cwd=folder,
            env={**os.environ, "TOKENIZERS_PARALLELISM": "false", **counts},
        )
        return cls(process, log, stream, began)

    def interrupt(self) -> None:
        """Ask it to end; what it recorded stays."""
        self.process.send_signal(signal.SIGINT)

    def end(self) -> None:
        """See it end, within 20 seconds."""
        try:
            self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.stream.close()

    def reason(self) -> str:
        """What the process said last, or how it ended; what earlier attempts said in the same log doesn't count."""
        code = self.process.returncode
        if code < 0:
            return f"killed by {signal.Signals(-code).name}; if memory ran out, run fewer cells at a time"
        lines = self.log.read_bytes()[self.began :].decode("utf-8", errors="replace").strip().splitlines()
        said = [line for line in lines if line.startswith("error: ")]
        return said[-1].removeprefix("error: ") if said else (lines[-1] if lines else f"exit code {code}")


def _fewer(given: str | None, threads: int) -> str:
    """The user's own number of threads where it is smaller: threads without a core of their own only wait."""
    return given if given is not None and given.isdecimal() and 0 < int(given) < threads else str(threads)
