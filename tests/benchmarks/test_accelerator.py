"""The pack for a bare machine, rehearsed whole on the processor: made, cut off, gone on with, read."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import tarfile
import time
import zipfile
from pathlib import Path
from typing import Any

import pytest

import inscl
from inscl.bench.grid.experiment import bench
from inscl.bench.grid.grid import load_grid
from inscl.config.loading import load_config
from streams import toy_stream

FOLDER = Path(__file__).parents[2] / "benchmarks" / "accelerator"
# A machine without the store: whoever imports it fails.
BARE = "import sys\nsys.modules['lance'] = None\n"
SIZES = (
    "--rows 6 --replayed 2 --test-rows 3 --generated 2 --between 1 --longest 2 --batch 4 --seeds 1 --most-mib 1 "
    "--methods none,measured --embedder ngrams --order="
)


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Path:
    """A pack of two grids, with a wheel of 1.5 MiB that can't be compressed, so that it has several parts."""
    folder = tmp_path_factory.mktemp("pack")
    stream = toy_stream(folder / "stream")
    (folder / "wheels").mkdir()
    with zipfile.ZipFile(folder / "wheels" / "carried-1-py3-none-any.whl", "w") as wheel:
        wheel.writestr("carried/noise", os.urandom(3 << 19))
    given = ["--stream", str(stream), "--model", str(tiny_model), "--wheels", str(folder / "wheels"), "--no-experts"]
    command = [sys.executable, str(FOLDER / "make_pack.py"), *given, *SIZES.split(), "--out", str(folder / "made")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "cells: lora 2, full 2" in done.stdout
    return folder / "made"


def machine(folder: Path, pack: Path, *options: object) -> subprocess.Popen[str]:
    """`run.py` as it lies in the pack, on a machine without Lance and with no inscl but the pack's."""
    (folder / "bare").mkdir(exist_ok=True)
    (folder / "bare" / "sitecustomize.py").write_text(BARE)
    named = {name: value for name, value in os.environ.items() if name not in ("INSCL_CACHE", "PYTHONPATH")}
    environment = {**named, "PYTHONPATH": str(folder / "bare"), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(pack / "run.py"), "--pack", str(pack), "--out", str(folder / "out"), "--jobs", "2"]
    return subprocess.Popen(
        [*command, *map(str, options)], env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )


def test_a_run_that_is_cut_off_is_data_and_goes_on_to_what_an_undisturbed_one_finds(
    pack: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert len(json.loads((pack / "pack.json").read_text())["parts"]) == len(list(pack.glob("part-*"))) > 1
    assert max(file.stat().st_size for file in pack.glob("part-*")) <= 1 << 20
    first = machine(tmp_path, pack)
    out, deadline = tmp_path / "out", time.monotonic() + 240
    while not list(out.glob("lora/runs/*/stages/02-*/DONE")) and first.poll() is None and time.monotonic() < deadline:
        time.sleep(0.1)
    first.send_signal(signal.SIGINT)
    said, _ = first.communicate(timeout=120)
    assert first.returncode == 130, said
    with tarfile.open(out / "records.tar.gz") as archive:
        names = archive.getnames()
    assert any(name.endswith("stages/02-length/scores.json") for name in names), names
    assert not any("replay.jsonl" in name or "model" in name.split("/") for name in names)
    again = machine(tmp_path, pack, "--seconds", 400)
    said, _ = again.communicate(timeout=500)
    assert again.returncode == 0, said
    assert "lora: 2 of 2 cells are done" in said
    assert "full: 2 of 2 cells are done" in said
    # What comes back is what the grid at home is about.
    home = tmp_path / "home"
    with tarfile.open(out / "records.tar.gz") as archive:
        archive.extractall(home, filter="data")
    for grid in ("lora", "full"):
        found = bench(load_grid(pack / f"{grid}.yaml"), out=home / grid, collect=True)
        assert len(found.done) == len(found.cells) == 2
        assert not found.failures
    # An undisturbed run with the store finds the same, number by number.
    monkeypatch.setenv("INSCL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    (cut,) = out.glob("lora/runs/measured-*.yaml")
    undisturbed = inscl.run(load_config(cut, [f"output_dir={tmp_path / 'undisturbed'}"]))
    recorded = json.loads((cut.with_suffix("") / "scores.json").read_text())["cells"]
    wanted = json.loads((undisturbed.path / "scores.json").read_text())["cells"]
    assert len(recorded) == len(wanted) == 3 + 1 + 2 + 3  # the base model's row, and the tasks learned so far
    for one, other in zip(recorded, wanted, strict=True):
        assert (one["stage"], one["task"]) == (other["stage"], other["task"])
        for metric, score in other["scores"].items():
            # Another number of threads rounds otherwise.
            assert one["scores"][metric]["mean"] == pytest.approx(score["mean"], rel=0.02), metric


def test_parts_that_are_missing_or_damaged_are_named(pack: Path, tmp_path: Path) -> None:
    spec = importlib.util.spec_from_file_location("accelerator_run", FOLDER / "run.py")
    assert spec is not None
    assert spec.loader is not None
    run: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(run)
    copy = tmp_path / "pack"
    copy.mkdir()
    for file in pack.iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    parts = len(list(copy.glob("part-*")))
    assert (run.put_together(copy, tmp_path / "whole") / "grids" / "lora.yaml").exists()
    (copy / "part-01").write_bytes(b"cut off")
    with pytest.raises(SystemExit, match="part-01 is damaged"):
        run.put_together(copy, tmp_path / "out")
    (copy / "part-01").unlink()
    with pytest.raises(SystemExit, match=f"part 1 of {parts} is missing"):
        run.put_together(copy, tmp_path / "out")


def test_records_of_before_are_put_back_and_nothing_else(
    pack: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = importlib.util.spec_from_file_location("accelerator_run", FOLDER / "run.py")
    assert spec is not None
    assert spec.loader is not None
    run: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(run)
    for name in ("lora/records/a.json", "lora/records/shared/base-1.json", "lora/runs/x/scores.json"):
        file = tmp_path / "before" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(name)
    (tmp_path / "before" / "lora" / "runs" / "x" / "replay.jsonl").write_text("texts")
    made = run.Bundle(tmp_path / "before")
    listed, gone = made.files, tmp_path / "before" / "lora" / "runs" / "x" / "learn.json"
    monkeypatch.setattr(made, "files", lambda: [gone, *listed()])  # deleted between listing and reading
    made.update(now=True)
    run.take_up(made.path, tmp_path / "after")
    found = sorted(file.relative_to(tmp_path / "after").as_posix() for file in (tmp_path / "after").rglob("*.json"))
    assert found == ["lora/records/a.json", "lora/records/shared/base-1.json"]
