"""A grid from its file to its tables: run what is missing, keep a record of each cell, write every table."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from fnmatch import fnmatch
from functools import partial
from pathlib import Path
from typing import Any

from inscl.bench.grid.cell_process import log_of
from inscl.bench.grid.grid import Cell, Grid, cells_of, load_grid
from inscl.bench.grid.pool import Failure, Pool
from inscl.bench.grid.records import is_complete, read_records, record_of, write_record
from inscl.bench.grid.schedule import run_cells
from inscl.bench.numbers.summary import Summary, summarise
from inscl.bench.show.power_lines import power_lines
from inscl.bench.show.render import budget_figure, to_csv, to_html, to_latex, to_markdown
from inscl.engine.parts import Parts
from inscl.errors import ConfigError, InsclError, Problem
from inscl.storage.files.atomic import write_text
from inscl.storage.objects.places import held, local_folder, publish

__all__ = ["Bench", "bench", "choose", "power_of_grid", "write_tables"]


@dataclass
class Bench:
    """A grid as far as it is.

    Attributes:
        folder: Where runs, records and tables lie.
        cells: Every cell of the grid.
        done: Those that have a record.
        failures: Those that failed this time.
        summary: The table's numbers; None before the first record.
    """

    folder: Path
    cells: list[Cell]
    done: list[Cell] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    summary: Summary | None = None


def bench(
    source: Grid | Mapping[str, Any] | str | Path,
    *,
    out: Path | None = None,
    jobs: int = 1,
    only: Sequence[str] = (),
    pool: Pool | None = None,
    collect: bool = False,
    notify: Callable[[str, Cell], None] = lambda event, cell: None,
) -> Bench:
    """Run every cell of a grid that has no record yet, and compare them all.

    A cell is known by what decides its result (settings, data, model), so one that was run on another machine and
    whose record was copied into ``records/`` is not run again. Experts and base rows are made once and shared.

    Args:
        source: A YAML file, its content, or a grid.
        out: Where to work; default: the grid's ``output_dir``.
        jobs: Cells at a time.
        only: Run only cells whose title matches one of these patterns, as in ``inscl*`` or ``*seed 0*``.
        pool: Where cells run; default: on this machine, `jobs` at a time.
        collect: Run nothing, and record the cells that were finished elsewhere, as by the jobs of `write_jobs`.
        notify: Told what happens to which cell, as ``started`` and ``finished``.

    Raises:
        ConfigError: The grid has mistakes.
        WorkspaceError: The folder is in use, or a record is damaged.
        DataError: A record lacks something, or the records can't be put into one table.
    """
    grid = load_grid(source)
    grid = grid.model_copy(update={"output_dir": str(local_folder(out or grid.output_dir, new=True))})
    made = Bench(Path(grid.output_dir), cells_of(grid))
    for cell in made.cells:
        Parts.of(cell.config).check()  # before the folder is made, and not in each cell's own process
    records = made.folder / "records"
    with held(made.folder):
        known = {record["key"] for record in read_records(records)}
        made.done = [cell for cell in made.cells if cell.key in known]

        def finished(cell: Cell) -> None:
            write_record(records, record_of(cell))
            made.done.append(cell)
            with suppress(InsclError, OSError):  # they are written again at the end, which says what is wrong
                write_tables(made, grid)
            publish(made.folder, lambda message: notify(message, cell))
            notify("finished", cell)

        missing = []
        for cell in choose(made.cells, only):
            if cell.key in known:
                continue
            try:
                if not is_complete(cell):
                    missing.append(cell)
                else:  # its run was finished elsewhere, or the grid was stopped before it had a record
                    finished(cell)
            except InsclError as error:
                made.failures.append(Failure(cell, str(error), log_of(cell)))
        if not collect:
            run = pool or partial(run_cells, jobs=jobs)
            made.failures += run(missing, records / "shared", notify=notify, finished=finished)
        write_tables(made, grid)
    return made


def choose(cells: Sequence[Cell], only: Sequence[str]) -> list[Cell]:
    """The cells whose title, or whose method, matches one of the patterns; all of them without patterns.

    Raises:
        ConfigError: A pattern that no cell matches.
    """
    idle = [pattern for pattern in only if not any(_matches(cell, pattern) for cell in cells)]
    if idle:
        titles = "; ".join(cell.title for cell in cells[:5])
        raise ConfigError([Problem("--only", f"no cell matches {pattern!r}; cells are: {titles}") for pattern in idle])
    return [cell for cell in cells if not only or any(_matches(cell, pattern) for pattern in only)]


def write_tables(made: Bench, grid: Grid) -> None:
    """Bring `made` and the tables in its folder up to date with the records of its cells.

    The leading metric's stand in the folder itself, those of another one in ``metrics/<metric>``.
    """
    records = _records_of(made.folder, made.cells)
    if not records:
        return
    metrics = list(dict.fromkeys(name for record in records for name in record["scores"]))
    made.summary = summarise(records, reference=grid.reference, metric=metrics[0])
    _write(made.folder, made.summary)
    for metric in metrics[1:]:
        _write(
            made.folder / "metrics" / re.sub(r"[^\w.-]+", "_", metric),
            summarise(records, reference=grid.reference, metric=metric),
        )


def power_of_grid(grid: Grid, *, out: Path | None = None, looks: int = 1) -> list[str]:
    """How small a difference the cells that have a record could show, in lines of text; nothing is run.

    Args:
        grid: The grid.
        out: Where its records are; default: the grid's ``output_dir``.
        looks: How often the results are looked at.

    Raises:
        ConfigError: No cell has a record.
        DataError: A record is damaged.
    """
    folder, cells = local_folder(out or grid.output_dir, new=True), cells_of(grid)
    records = _records_of(folder, cells)
    lines = [f"{len(records)} of {len(cells)} cells have a record in {folder / 'records'}"]
    return [*lines, *power_lines(records, grid.reference, looks=looks)]


def _records_of(folder: Path, cells: Sequence[Cell]) -> list[dict[str, Any]]:
    """In the grid's order and by its names: a record may come from another grid that calls the same run otherwise."""
    found = {record["key"]: record for record in read_records(folder / "records", [cell.key for cell in cells])}
    return [{**found[cell.key], "cell": cell.to_json()} for cell in cells if cell.key in found]


def _write(folder: Path, summary: Summary) -> None:
    """Every table of one metric."""
    for name, render in (
        ("table.md", to_markdown),
        ("table.tex", to_latex),
        ("table.csv", to_csv),
        ("index.html", to_html),
    ):
        write_text(folder / name, render(summary))
    if figure := budget_figure(summary):
        write_text(folder / "budgets.svg", figure)


def _matches(cell: Cell, pattern: str) -> bool:
    return fnmatch(cell.title, pattern) or fnmatch(cell.method, pattern)
