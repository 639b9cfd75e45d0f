"""Cells as tasks of Ray: the cluster chooses the node, and runs a cell again whose worker was lost."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from inscl.bench.grid.cell_process import log_of, write_settings
from inscl.bench.grid.grid import Cell
from inscl.bench.grid.pool import Failure, Needs
from inscl.bench.grid.ray_task import ATTEMPT, Order, run_order
from inscl.engine.cluster import connected
from inscl.errors import InsclError
from inscl.storage.files.provenance import packages

__all__ = ["RETRIES", "RayPool"]

RETRIES = 3
"""How often a cell is run again whose worker or node was lost. A cell that fails by itself is not."""


@dataclass(frozen=True)
class RayPool:
    """A Ray cluster as a `Pool`.

    Every node must have inscl installed and see the grid's folder, the data and the model under the same paths.

    Args:
        address: As for `inscl.engine.cluster.connected`.
        needs: What Ray reserves for each cell.
        jobs: Cells at a time; None: all that the cluster has room for.
    """

    address: str | None = None
    needs: Needs = field(default_factory=Needs)
    jobs: int | None = None

    def __call__(
        self,
        cells: Sequence[Cell],
        shared: Path,
        *,
        notify: Callable[[str, Cell], None],
        finished: Callable[[Cell], None],
    ) -> list[Failure]:
        """Run cells until each has finished or failed; see `Pool`.

        Raises:
            MissingExtraError: Ray isn't installed.
            EndpointError: There is no cluster at the address.
        """
        if not cells:
            return []
        with connected(self.address, "a grid on Ray") as ray:
            return _Grid(ray, self, shared, notify, finished).run(cells)


@dataclass
class _Sent:
    """A cell that Ray has: how much of its log was read, and how often it began."""

    cell: Cell
    read: int
    begun: int = 0

    def begins(self) -> int:
        """How often the cell has begun since this was last asked."""
        try:
            with log_of(self.cell).open("rb") as log:
                log.seek(self.read)
                lines = log.read().rpartition(b"\n")[0]
        except FileNotFoundError:
            return 0
        self.read += len(lines)
        return sum(line.startswith(ATTEMPT.encode()) for line in lines.split(b"\n"))


@dataclass
class _Grid:
    ray: Any
    pool: RayPool
    shared: Path
    notify: Callable[[str, Cell], None]
    finished: Callable[[Cell], None]
    sent: dict[Any, _Sent] = field(default_factory=dict)

    def run(self, cells: Sequence[Cell]) -> list[Failure]:
        needs, waiting = self.pool.needs, list(cells)
        memory = {"memory": int(needs.memory * 2**30)} if needs.memory else {}
        task = self.ray.remote(num_cpus=needs.cpus, num_gpus=needs.gpus, max_retries=RETRIES, **memory)(run_order)
        if not self._has_room():
            self.notify(f"waiting for a node with {needs}", cells[0])
        failures = []
        try:
            while waiting or self.sent:
                while waiting and (self.pool.jobs is None or len(self.sent) < self.pool.jobs):
                    self._send(task, waiting.pop(0))
                done, _ = self.ray.wait(list(self.sent), timeout=0.5)
                for sent in self.sent.values():
                    self._tell(sent)
                failures += [failure for one in done if (failure := self._end(one, self.sent.pop(one).cell))]
        finally:
            for one in self.sent:
                self.ray.cancel(one)
            if self.sent:
                self.ray.wait(list(self.sent), num_returns=len(self.sent), timeout=20)
        return failures

    def _send(self, task: Any, cell: Cell) -> None:
        settings, log = write_settings(cell).absolute(), log_of(cell)
        order = Order(
            settings=settings,
            text=settings.read_text(encoding="utf-8", errors="surrogatepass"),
            run=Path(cell.config.output_dir).absolute(),
            shared=self.shared.absolute(),
            folder=Path.cwd(),
            threads=self.pool.needs.cpus,
            version=packages().get("inscl", "unknown"),
        )
        read = log.stat().st_size if log.exists() else 0
        self.sent[task.remote(order)] = _Sent(cell, read)

    def _tell(self, sent: _Sent) -> None:
        for _ in range(sent.begins()):
            self.notify("started again" if sent.begun else "started", sent.cell)
            sent.begun += 1

    def _end(self, one: Any, cell: Cell) -> Failure | None:
        try:
            if reason := self.ray.get(one):
                return Failure(cell, reason, log_of(cell))
            self.finished(cell)
        except InsclError as error:
            return Failure(cell, str(error), log_of(cell))
        except self.ray.exceptions.RayError as error:
            said = str(error).strip().splitlines()
            why = said[-1] if said else type(error).__name__
            return Failure(cell, f"its worker was lost {RETRIES + 1} times: {why}", log_of(cell))
        return None

    def _has_room(self) -> bool:
        """Whether a node of the cluster is large enough for a cell."""
        needs = self.pool.needs
        wanted = {"CPU": needs.cpus, "GPU": needs.gpus, "memory": (needs.memory or 0) * 2**30}
        nodes = [node["Resources"] for node in self.ray.nodes() if node["Alive"]]
        return any(all(node.get(name, 0) >= size for name, size in wanted.items()) for node in nodes)
