"""A grid as jobs of Slurm: an array job with the cells, and a job that makes the tables when it has ended."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from inscl.bench.grid.cell_process import log_of, write_settings
from inscl.bench.grid.experiment import choose
from inscl.bench.grid.grid import Cell, Grid, cells_of
from inscl.bench.grid.pool import Needs
from inscl.bench.grid.records import is_complete, read_records
from inscl.config.loading import load_config
from inscl.data.places import refuse_remote
from inscl.data.yaml_values import dump_yaml
from inscl.engine.parts import Parts
from inscl.errors import ConfigError, Problem
from inscl.storage.files.atomic import write_text
from inscl.storage.files.lock import locked

__all__ = ["Jobs", "write_jobs"]

MOST_TASKS = 1000
"""Tasks of an array. Slurm's default limit (MaxArraySize) is 1001; a task of a larger grid runs several cells."""


@dataclass(frozen=True)
class Jobs:
    """What was written.

    Attributes:
        cells: The cells that the jobs run.
        submit: The script that submits both jobs; None where every cell is done.
    """

    cells: list[Cell]
    submit: Path | None


def write_jobs(
    grid: Grid,
    *,
    out: Path | None = None,
    only: Sequence[str] = (),
    jobs: int | None = None,
    needs: Needs | None = None,
) -> Jobs:
    """Write the scripts that run the cells of a grid which aren't done yet; nothing is submitted.

    The scripts hold whole paths, so every node must see the grid's folder, the data and this Python under the same
    paths. A cell that is submitted again goes on where it was.

    Args:
        grid: The grid.
        out: Where it works; default: the grid's ``output_dir``.
        only: As for `bench`.
        jobs: Cells at a time; default: as many as the cluster has room for.
        needs: What a cell needs.

    Raises:
        ConfigError: The grid has mistakes, or a cell asks for a share of a GPU.
        WorkspaceError: The folder is in use or can't be written.
    """
    needs = needs or Needs()
    if needs.gpus != int(needs.gpus):  # sharing is configured otherwise (MPS, shards), on every cluster in its own way
        raise ConfigError([Problem("--cell-gpus", f"Slurm gives whole GPUs, got {needs.gpus:g}")], "inscl bench")
    refuse_remote(out or grid.output_dir, "give jobs a folder that all nodes share")
    folder = Path(out or grid.output_dir).absolute()
    grid = grid.model_copy(update={"output_dir": str(folder)})
    cells = cells_of(grid)
    for cell in cells:
        Parts.of(cell.config).check()  # here, and not in each job
    with locked(folder):
        known = {record["key"] for record in read_records(folder / "records")}
        missing = [cell for cell in choose(cells, only) if cell.key not in known and not is_complete(cell)]
        if not missing:
            return Jobs([], None)
        scripts = folder / "slurm"
        # The tables are made from the grid in full: what was given may be a file that changes until then.
        run = load_config(grid.run if not isinstance(grid.run, str) else Path(grid.run))
        written = grid.model_copy(update={"run": run.model_dump(mode="json")})
        write_text(scripts / "grid.yaml", dump_yaml(written.model_dump(mode="json")))
        for cell in missing:
            write_settings(cell)
        write_text(scripts / "cells.sh", _cells_script(missing, folder, jobs, needs))
        write_text(scripts / "tables.sh", _tables_script(folder))
        write_text(scripts / "submit.sh", _submit_script(scripts))
    return Jobs(missing, scripts / "submit.sh")


def _cells_script(cells: Sequence[Cell], folder: Path, jobs: int | None, needs: Needs) -> str:
    tasks = min(len(cells), MOST_TASKS)
    options = {
        "job-name": _job_name(folder),
        "array": f"0-{tasks - 1}" + (f"%{jobs}" if jobs else ""),
        "cpus-per-task": str(needs.cpus),
        **_gpus(needs.gpus),
        **({"mem": f"{round(needs.memory * 1024)}M"} if needs.memory else {}),
        "output": _log(folder, "cells-%A_%a"),
    }
    runs = "\n".join(f"  {shlex.quote(str(log_of(cell).with_suffix('')))}" for cell in cells)
    python, shared = shlex.quote(sys.executable), shlex.quote(str(folder / "records" / "shared"))
    return f"""#!/bin/bash
# The cells of a grid, one a task of the array. A task that is run again goes on where it was.
{_header(options)}
#SBATCH --requeue
cd {shlex.quote(str(Path.cwd()))} || exit 1
export OMP_NUM_THREADS={needs.cpus} MKL_NUM_THREADS={needs.cpus} TOKENIZERS_PARALLELISM=false
runs=(
{runs}
)
status=0
for ((k = SLURM_ARRAY_TASK_ID; k < ${{#runs[@]}}; k += {tasks})); do
  {python} -m inscl.cli.cell "${{runs[k]}}.yaml" {shared} >> "${{runs[k]}}.log" 2>&1 \\
    || {{ status=1; tail -n 1 "${{runs[k]}}.log" >&2; }}
done
exit $status
"""


def _tables_script(folder: Path) -> str:
    options = {"job-name": f"{_job_name(folder)}-tables", "output": _log(folder, "tables-%j")}
    code = shlex.quote("from inscl.cli import main; main()")
    python, grid = shlex.quote(sys.executable), shlex.quote(str(folder / "slurm" / "grid.yaml"))
    return f"""#!/bin/bash
# Records the cells that are done and writes the tables. It runs nothing, and may be run at any time.
{_header(options)}
cd {shlex.quote(str(Path.cwd()))} || exit 1
exec {python} -c {code} bench {grid} --collect
"""


def _submit_script(scripts: Path) -> str:
    cells, tables = (shlex.quote(str(scripts / name)) for name in ("cells.sh", "tables.sh"))
    return f"""#!/bin/bash
# Submits the cells, and the tables for when they have ended. Options, such as --partition=gpu, go to sbatch.
set -e
array=$(sbatch --parsable "$@" {cells})
sbatch --parsable --dependency="afterany:${{array%%;*}}" "$@" {tables}
"""


def _header(options: dict[str, str]) -> str:
    return "\n".join(f"#SBATCH --{name}={value}" for name, value in options.items())


def _gpus(gpus: float) -> dict[str, str]:
    return {"ntasks": "1", "gpus-per-task": f"{gpus:g}"} if gpus else {}


def _job_name(folder: Path) -> str:
    return "inscl-" + re.sub(r"[^\w.-]+", "_", folder.name)


def _log(folder: Path, name: str) -> str:
    """A file of the folder, for a line of #SBATCH: quoted, and a percent sign of the path is none of Slurm's."""
    return shlex.quote(str(folder / "slurm").replace("%", "%%") + f"/{name}.log")
