"""Where the cells of a grid run: what every such place is asked, and what it answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from inscl.bench.grid.grid import Cell
from inscl.errors import ConfigError, Problem

__all__ = ["Failure", "Needs", "Pool"]


@dataclass(frozen=True)
class Failure:
    """A cell that did not finish: why, and where its log is."""

    cell: Cell
    reason: str
    log: Path


@dataclass(frozen=True)
class Needs:
    """What one cell needs of the machine that it runs on.

    Attributes:
        cpus: Cores, and threads of the cell's process.
        gpus: Graphics cards; 0.5 lets two cells share one.
        memory: Main memory in GiB; None leaves it to the cluster.

    Raises:
        ConfigError: A number is out of range.
    """

    cpus: int = 1
    gpus: float = 0
    memory: float | None = None

    def __post_init__(self) -> None:
        wrong = []
        if self.cpus < 1:
            wrong.append(Problem("--cell-cpus", f"at least 1, got {self.cpus}"))
        if self.gpus < 0 or (self.gpus > 1 and self.gpus != int(self.gpus)):
            wrong.append(Problem("--cell-gpus", f"a share of one, or a whole number of them, got {self.gpus:g}"))
        if self.memory is not None and self.memory <= 0:
            wrong.append(Problem("--cell-memory", f"more than 0 GiB, got {self.memory:g}"))
        if wrong:
            raise ConfigError(wrong, "inscl bench")

    def __str__(self) -> str:
        said = [f"{self.cpus} CPU{'s' if self.cpus > 1 else ''}"]
        said += [f"{self.gpus:g} GPU{'s' if self.gpus > 1 else ''}"] if self.gpus else []
        said += [f"{self.memory:g} GiB of memory"] if self.memory else []
        return ", ".join(said)


class Pool(Protocol):
    """Runs cells somewhere; a cell that fails stops no other."""

    def __call__(
        self,
        cells: Sequence[Cell],
        shared: Path,
        *,
        notify: Callable[[str, Cell], None],
        finished: Callable[[Cell], None],
    ) -> list[Failure]:
        """Run cells until each has finished or failed.

        Args:
            cells: What to run.
            shared: Folder of the scores that runs have in common.
            notify: Told ``started`` when a cell begins, and what else there is to say of a cell.
            finished: Told when a cell's run folder is complete; the cell has failed where this raises an `InsclError`.

        Returns:
            The cells that failed. On Ctrl-C everything is ended first; what was recorded stays.
        """
