"""The scripts are valid, and give the local pool's records when their cells are run one by one, as Slurm would."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from bench.patient import declare_patient, patient_grid
from inscl.bench import Needs, bench, cells_of, load_grid, write_jobs
from inscl.bench.grid import slurm
from inscl.errors import ConfigError
from inscl.storage.files.atomic import read_json

# Runs a script as often as its array says, or once; prints a number as sbatch --parsable does.
SBATCH = """#!/bin/bash
script=${@: -1}
echo "$@" >> "$CALLS"
echo 7
[ -n "$DRY" ] && exit 0
last=$(sed -n 's/^#SBATCH --array=0-\\([0-9]*\\).*/\\1/p' "$script")
for ((k = 0; k <= ${last:-0}; k++)); do SLURM_ARRAY_TASK_ID=$k bash "$script" >&2; done
"""


@pytest.fixture
def grid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Four cells in a folder whose name has a space."""
    declare_patient(tmp_path, monkeypatch)
    return patient_grid(tmp_path)


def submit(script: Path, folder: Path, *options: str, dry: bool = False) -> list[str]:
    """What sbatch was called with, a line a call."""
    (folder / "bin").mkdir(exist_ok=True)
    (folder / "bin" / "sbatch").write_text(SBATCH)
    (folder / "bin" / "sbatch").chmod(0o755)
    calls = folder / "calls"
    calls.unlink(missing_ok=True)
    where = {"PATH": f"{folder / 'bin'}:{os.environ['PATH']}", "CALLS": str(calls), "DRY": "1" if dry else ""}
    done = subprocess.run(
        ["bash", str(script), *options], env={**os.environ, **where}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return calls.read_text().splitlines()


def test_the_cells_of_an_array_give_the_records_of_the_local_pool(grid: dict[str, Any], tmp_path: Path) -> None:
    grid["seeds"] = [0]
    written = write_jobs(load_grid(grid), jobs=2)
    assert written.submit is not None
    assert len(written.cells) == 2
    for script in written.submit.parent.glob("*.sh"):
        subprocess.run(["bash", "-n", str(script)], check=True)
    first, second = submit(written.submit, tmp_path, "--partition=short queue")
    assert first.startswith("--parsable --partition=short queue ")
    assert "--dependency=afterany:7" in second
    folder = tmp_path / "gri d"
    assert (folder / "table.md").exists()
    local = bench(grid, out=tmp_path / "local")
    for cell in local.cells:
        ours, theirs = (read_json(f / "records" / f"{cell.key}.json") for f in (folder, local.folder))
        assert (ours["scores"], ours["experts"]) == (theirs["scores"], theirs["experts"])
    assert len(list((folder / "records" / "shared").glob("expert-*.json"))) == 3
    assert write_jobs(load_grid(grid)).submit is None


def test_the_grid_that_makes_the_tables_has_the_same_cells(grid: dict[str, Any], tmp_path: Path) -> None:
    changed = {
        "name": "alone",
        "strategy": {"name": "inscl", "params": {"insinfo": False}},
        "set": {"model.adapter.r": 2},
    }
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(grid["run"]))
    (tmp_path / "grid.yaml").write_text(yaml.safe_dump({**grid, "methods": [changed, "random"], "run": "run.yaml"}))
    read = load_grid(tmp_path / "grid.yaml")
    write_jobs(read)
    again = load_grid(tmp_path / "gri d" / "slurm" / "grid.yaml")
    assert [(cell.key, cell.title) for cell in cells_of(again)] == [(cell.key, cell.title) for cell in cells_of(read)]


def test_what_a_cell_needs_stands_in_the_script(grid: dict[str, Any], tmp_path: Path) -> None:
    write_jobs(load_grid(grid), jobs=3, needs=Needs(cpus=4, gpus=1, memory=1.5), only=["random"])
    text = (tmp_path / "gri d" / "slurm" / "cells.sh").read_text()
    for line in ("array=0-1%3", "cpus-per-task=4", "gpus-per-task=1", "mem=1536M", "job-name=inscl-gri_d"):
        assert f"\n#SBATCH --{line}\n" in text
    with pytest.raises(ConfigError, match=r"whole GPUs, got 0\.5"):
        write_jobs(load_grid(grid), needs=Needs(gpus=0.5))


def test_a_grid_larger_than_an_array_is_dealt_out(
    grid: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slurm, "MOST_TASKS", 3)
    monkeypatch.setattr(slurm.sys, "executable", str(tmp_path / "python"))
    (tmp_path / "python").write_text('#!/bin/bash\necho "$3" >> "$RAN"\n[[ $3 != *seed1* ]]\n')
    (tmp_path / "python").chmod(0o755)
    written = write_jobs(load_grid(grid))
    script = tmp_path / "gri d" / "slurm" / "cells.sh"
    codes = []
    for task in range(int(re.findall(r"array=0-(\d+)", script.read_text())[0]) + 1):
        environment = {**os.environ, "RAN": str(tmp_path / "ran"), "SLURM_ARRAY_TASK_ID": str(task)}
        codes.append(
            subprocess.run(["bash", str(script)], env=environment, check=False, capture_output=True).returncode
        )
    ran = (tmp_path / "ran").read_text().splitlines()
    assert sorted(ran) == sorted(f"{cell.config.output_dir}.yaml" for cell in written.cells)
    assert len(codes) == 3
    assert sum(codes) == 2  # the cells of seed 1, whose failure stopped no other cell of their task


def test_a_cell_that_another_model_made_gets_no_record(grid: dict[str, Any], tmp_path: Path) -> None:
    made = bench(grid, only=["random"])
    assert (len(made.done), made.failures) == (2, [])
    for record in (tmp_path / "gri d" / "records").glob("*.json"):
        record.unlink()
    manifest = Path(made.done[0].config.output_dir) / "manifest.json"
    facts = json.loads(manifest.read_text())
    facts["model"]["fingerprint"] = "another"
    manifest.write_text(json.dumps(facts))
    again = bench(grid, collect=True)
    assert [cell.seed for cell in again.done] == [1]
    assert [failure.cell.seed for failure in again.failures] == [0]
    assert "another model" in again.failures[0].reason
