"""A run in a bucket of a real server, whose process is killed between uploads and once a generation was created."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import forking
from bench.patient import declare_patient, patient_grid
from inscl import write_report
from inscl.bench import bench
from inscl.bench.grid.records import read_records
from inscl.engine.evaluate_stage import evaluate_stage
from inscl.errors import InsclError
from inscl.pipeline import run
from inscl.storage.objects.bucket import Bucket
from inscl.storage.objects.places import local_folder
from object_server import ObjectServer, Strike

DECIDED = ("plan.json", "replay.jsonl", "scores.json", "metrics.json", "predictions/*.jsonl")


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """A run without a model, of the parrot that other processes know, too."""
    with pytest.MonkeyPatch.context() as patch:
        declare_patient(tmp_path, patch)
        yield patient_grid(tmp_path)["run"]


@pytest.fixture
def on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    return lambda name: monkeypatch.setenv("INSCL_COPIES", str(tmp_path / "machines" / name))


def decided(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for name in DECIDED for file in folder.rglob(name)}


def test_killed_twice_it_ends_as_an_undisturbed_run(
    settings: dict[str, Any], bucket: str, object_server: ObjectServer, on: Callable[[str], None], tmp_path: Path
) -> None:
    on("one")
    settings["evaluation"].update(experts=False, base=False)
    address, config, running = f"{bucket}/run", tmp_path / "run.yaml", list[forking.Command]()
    config.write_text(json.dumps(settings))

    def kill() -> None:
        os.kill(running[-1].pid, signal.SIGKILL)
        deadline = time.monotonic() + 20
        while Path(f"/proc/{running[-1].pid}").exists() and time.monotonic() < deadline:
            time.sleep(0.01)

    def command() -> int:
        arguments = ["-c", "from inscl.cli import main; main()", "run", str(config), "--out", address]
        with (tmp_path / "said").open("ab") as said:
            running.append(forking.Command([sys.executable, *arguments], stdout=said, stderr=said, cwd=tmp_path))
            return running[-1].wait(120)

    counted = []
    for strike in (
        Strike("PUT", "/objects/", skip=20, before=kill, status=500),  # among the uploads of a stage
        Strike("PUT", "/generations/", after=kill),
    ):
        with object_server.strike(strike):
            assert command() == -signal.SIGKILL, (tmp_path / "said").read_text()
        on(f"reader {len(counted)}")
        counted.append(len(list(local_folder(address).glob("stages/*/DONE"))))
        on("one")
    assert command() == 0, (tmp_path / "said").read_text()
    assert counted == sorted(counted)
    assert counted[-1] > 0
    on("another")
    ended = local_folder(address)
    undisturbed = run({**settings, "output_dir": str(tmp_path / "plain")})
    assert decided(ended) == decided(undisturbed.path)
    assert (ended / "report.html").exists()
    assert not (tmp_path / "s3:").exists()
    everything = b"".join(file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())
    assert b"hush-hush" not in everything


def test_commands_that_change_a_finished_run_publish_it(
    settings: dict[str, Any], bucket: str, on: Callable[[str], None]
) -> None:
    on("one")
    settings["evaluation"].update(experts=False, base=False)
    address = f"{bucket}/run"
    run({**settings, "output_dir": address})
    before = Bucket(address).names("generations")
    assert run({**settings, "output_dir": address}).scores.tasks
    assert Bucket(address).names("generations") == before  # nothing was new
    on("two")
    assert not (local_folder(address) / "stages" / "00-base").exists()
    evaluate_stage(Path(address), 0)
    write_report([Path(address)])
    on("one")
    folder = local_folder(address)
    assert (folder / "stages" / "00-base" / "DONE").exists()
    assert (folder / "report.html").exists()
    with pytest.raises(InsclError, match="holds another run"):
        run({**settings, "output_dir": address, "seed": 7})


def test_machines_share_the_cells_of_a_grid(
    settings: dict[str, Any], bucket: str, on: Callable[[str], None], tmp_path: Path
) -> None:
    address, ran = Path(f"{bucket}/grid"), list[str]()
    settings["evaluation"].update(experts=False, base=False)
    grid = {"run": settings, "methods": ["none", "random"], "seeds": [0]}

    def here(cells: Any, shared: Path, *, notify: Any, finished: Any) -> list[Any]:
        for cell in cells:
            run(cell.config, shared=shared)
            ran.append(cell.method)
            finished(cell)
        return []

    on("one")
    bench(grid, out=address, only=["none"], pool=here)
    on("two")
    made = bench(grid, out=address, pool=here)
    assert (ran, made.failures, len(made.done)) == (["none", "random"], [], 2)
    on("three")
    folder = local_folder(address)
    assert len(read_records(folder / "records")) == 2
    assert (folder / "table.md").read_text() == (made.folder / "table.md").read_text()
    assert not (folder / "runs").exists()
