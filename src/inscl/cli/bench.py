"""``inscl bench``."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from inscl.data.places import shown
from inscl.errors import ConfigError, InsclError, Problem

if TYPE_CHECKING:
    from inscl.bench.grid.experiment import Bench
    from inscl.bench.grid.grid import Cell, Grid
    from inscl.bench.grid.pool import Needs, Pool

__all__ = ["bench"]


def bench(
    grid: Annotated[Path | None, typer.Argument(help="The YAML file of the grid. Omit it if you use --stream.")] = None,
    stream: Annotated[str | None, typer.Option(help="The stream to compare on, if no grid is given.")] = None,
    methods: Annotated[str, typer.Option(help="With --stream: comma-separated names.")] = "none,random,inscl",
    seeds: Annotated[int, typer.Option(help="With --stream: number of seeds.", min=1)] = 3,
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="With --stream: change a setting of all runs."),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for runs, records and tables.")] = None,
    jobs: Annotated[
        int | None,
        typer.Option(
            help="Cells to run at the same time. Here they share the cores; default: 1. On a cluster: all that fit.",
            min=1,
            show_default=False,
        ),
    ] = None,
    only: Annotated[
        list[str] | None, typer.Option(help="Run only matching cells, such as 'inscl*' or '*seed 0*'. Repeatable.")
    ] = None,
    on: Annotated[
        str, typer.Option(metavar="PLACE", help="Where cells run: local, ray, or ray://HOST:10001.")
    ] = "local",
    submit: Annotated[
        str | None, typer.Option(metavar="slurm", help="Run nothing; write the scripts of an array job of Slurm.")
    ] = None,
    cpus: Annotated[int, typer.Option("--cell-cpus", help="On a cluster: cores that a cell gets.")] = 1,
    gpus: Annotated[float, typer.Option("--cell-gpus", help="On a cluster: GPUs that a cell gets.")] = 0,
    memory: Annotated[
        float | None, typer.Option("--cell-memory", metavar="GIB", help="On a cluster: GiB of memory that a cell gets.")
    ] = None,
    collect: Annotated[
        bool, typer.Option("--collect", help="Run nothing; record the cells that jobs have finished, and write tables.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show which cells would run and their cost.")] = False,
    power: Annotated[
        bool, typer.Option("--power", help="Run nothing; show what difference the recorded cells could show.")
    ] = False,
    looks: Annotated[
        int, typer.Option(help="With --power: how often you look at the results and might stop.", min=1)
    ] = 1,
) -> None:
    """Compare methods over orders, seeds and budgets. Cells that have a record are not run again."""
    from inscl.bench import Needs, estimate, power_of_grid
    from inscl.bench import bench as compare
    from inscl.cli.terminal import plain

    chosen = _grid(grid, stream, methods, seeds, changes or [])
    needs = Needs(cpus, gpus, memory)
    if submit is not None and on != "local":
        raise ConfigError("--submit writes jobs for a scheduler: leave --on out", "inscl bench")
    if submit is None and on == "local" and needs != Needs():
        raise ConfigError("--cell-cpus, --cell-gpus and --cell-memory need --on ray or --submit slurm", "inscl bench")
    if submit is not None:
        _submit(submit, chosen, out=out, only=only or [], jobs=jobs, needs=needs)
        return
    if dry_run or power:
        if dry_run:
            lines = estimate(chosen, out=out, only=only or [], jobs=jobs or 1)
        else:
            lines = power_of_grid(chosen, out=out, looks=looks)
        for line in lines:
            typer.echo(plain(line))
        return
    try:
        with _display() as notify:
            made = compare(
                chosen, out=out, only=only or [], pool=_pool(on, jobs, needs), collect=collect, notify=notify
            )
    except KeyboardInterrupt:
        raise _Interrupted(str(out or chosen.output_dir)) from None
    _show(made)


def _grid(file: Path | None, stream: str | None, methods: str, seeds: int, changes: list[str]) -> Grid:
    """The grid of a file, or of a stream; exactly one is given."""
    from inscl.bench import grid_of_stream, load_grid

    if (file is None) == (stream is None):
        raise ConfigError("give the file of a grid, or a stream with --stream", "inscl bench")
    if file is None:
        return grid_of_stream(stream or "", [name.strip() for name in methods.split(",")], seeds, changes)
    if changes:
        raise ConfigError("--set needs --stream; a grid holds its own settings", "inscl bench")
    return load_grid(file)


def _pool(place: str, jobs: int | None, needs: Needs) -> Pool:
    """Where cells run, by its name."""
    from inscl.bench import RayPool
    from inscl.bench.grid.schedule import run_cells
    from inscl.engine.cluster import address_of

    if place == "local":
        return partial(run_cells, jobs=jobs or 1)
    return RayPool(address_of(place), needs, jobs)


def _submit(scheduler: str, grid: Grid, **chosen: Any) -> None:
    """Write the scripts of a scheduler, and say how to submit them."""
    from inscl.bench import write_jobs
    from inscl.cli.terminal import plain

    if scheduler != "slurm":
        raise ConfigError([Problem("--submit", f"slurm is the only scheduler, got {scheduler!r}")], "inscl bench")
    written = write_jobs(grid, **chosen)
    if written.submit is None:
        typer.echo("nothing to submit: every cell is done; --collect writes the tables")
        return
    typer.echo(plain(f"{len(written.cells)} cells; submit them with: bash {shlex.quote(str(written.submit))}"))


def _show(made: Bench) -> None:
    """Print the tables, and which cells have no record.

    Raises:
        _Failed: Cells failed.
    """
    from rich.console import Console

    from inscl.bench.show.render import print_table
    from inscl.cli.terminal import plain

    if made.summary is not None:
        print_table(made.summary, Console() if Console().is_terminal else Console(width=200))
        typer.echo(
            plain(f"tables: {made.folder / 'index.html'}, table.md, table.tex, table.csv; of other metrics: metrics/")
        )
    typer.echo(plain(f"{len(made.done)} of {len(made.cells)} cells have a record in {made.folder / 'records'}"))
    if made.failures:
        lines = [f"{failure.cell.title}: {failure.reason} (log: {failure.log})" for failure in made.failures]
        raise _Failed(f"{len(lines)} cells failed; the same command tries them again\n  " + "\n  ".join(lines))


class _Interrupted(InsclError):
    """Ctrl-C: finished work is kept."""

    exit_code = 130

    def __init__(self, folder: str) -> None:
        super().__init__(
            f"stopped. Every finished stage is kept in {shown(folder)}: give the same command again to resume."
        )


class _Failed(InsclError):
    """Some cells did not finish."""


@contextmanager
def _display() -> Iterator[Callable[[str, Cell], None]]:
    """A live table of the cells on a terminal, one line per event elsewhere."""
    from rich.console import Console
    from rich.live import Live
    from rich.table import Table

    from inscl.cli.terminal import cell, plain

    began: dict[str, float] = {}
    rows: dict[str, tuple[str, str]] = {}
    live = Live(console=Console(stderr=True), auto_refresh=False) if Console(stderr=True).is_terminal else None

    def notify(event: str, which: Cell) -> None:
        moment = time.monotonic()
        began.setdefault(which.key, moment)
        facts = f"{moment - began[which.key]:.0f} s{_gain(which)}" if event == "finished" else ""
        rows[which.key] = (which.title, f"{event} {facts}".strip())
        if live is None:
            typer.echo(plain(f"{event}: {which.title} {facts}".rstrip()), err=True)
            return
        table = Table("cell", "state")
        for title, state in rows.values():
            table.add_row(cell(title), cell(state))
        live.update(table, refresh=True)

    if live is None:
        yield notify
    else:
        with live:
            yield notify


def _gain(cell: Cell) -> str:
    """The main numbers of a finished cell, as shown in the tables."""
    from inscl.bench.grid.records import read_records
    from inscl.bench.numbers.measures import measures_of
    from inscl.bench.numbers.observations import observe

    records = read_records(Path(cell.config.output_dir).parent.parent / "records", [cell.key])
    if not records:
        return ""
    (found,) = observe(records, cell.config.evaluation.metrics[0])[1]
    first, average = measures_of(found.scale)[0], "average_performance"
    shown = {measure.name: measure for measure in measures_of(found.scale) if measure.name in (first.name, average)}
    known = [(measure, number) for name, measure in shown.items() if (number := found.measures[name]) is not None]
    said = [f"{measure.name} {number:.{measure.digits}f}" for measure, number in known]
    if found.diverged:
        said.append(f"training diverged at {found.diverged}: from there on it counts as the base model")
    if found.spikes:
        said.append(f"the training loss spiked at {', '.join(found.spikes)}: it may have diverged")
    return "".join(f", {text}" for text in said)
