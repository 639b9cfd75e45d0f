"""What a worker refuses, and that it runs the cell's process otherwise; no Ray is needed for this."""

from __future__ import annotations

import dataclasses
import socket
from pathlib import Path

import pytest

from inscl.bench.grid import ray_task
from inscl.bench.grid.ray_task import ATTEMPT, Order, run_order
from inscl.storage.files.lock import locked
from inscl.storage.files.provenance import packages


@pytest.fixture
def order(tmp_path: Path) -> Order:
    settings = tmp_path / "cell.yaml"
    settings.write_text("stream: {path: nowhere}\n")
    version = packages()["inscl"]
    return Order(settings, settings.read_text(), tmp_path / "cell", tmp_path / "shared", tmp_path, 1, version)


def test_a_node_without_the_grids_folder_says_so(order: Order, tmp_path: Path) -> None:
    here = socket.gethostname()
    missing = dataclasses.replace(order, settings=tmp_path / "elsewhere" / "cell.yaml")
    assert run_order(missing) == (
        f"node {here}: {tmp_path / 'elsewhere'} isn't the grid's folder here: give an --out that all nodes share"
    )
    assert "isn't the grid's folder" in run_order(dataclasses.replace(order, text="another"))
    assert "there is no folder" in run_order(dataclasses.replace(order, folder=tmp_path / "none"))
    assert "install the same" in run_order(dataclasses.replace(order, version="0.0"))
    assert not list(tmp_path.glob("*.log"))


def test_a_cell_that_fails_says_where_and_why(order: Order, tmp_path: Path) -> None:
    told = run_order(order)
    assert told.startswith(f"node {socket.gethostname()}: ")
    assert "nowhere" in told
    assert (tmp_path / "cell.log").read_text().startswith(f"{ATTEMPT}{socket.gethostname()}\n")


def test_an_attempt_waits_for_the_process_of_the_one_before(
    order: Order, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray_task, "_PATIENCE", 0.5)
    held = []

    def is_held(folder: Path) -> bool:
        held.append(folder)
        return len(held) < 3

    with locked(tmp_path / "cell"):
        assert ray_task.is_held(tmp_path / "cell")
    assert not ray_task.is_held(tmp_path / "cell")
    monkeypatch.setattr(ray_task, "is_held", is_held)
    run_order(order)
    assert held == [tmp_path / "cell"] * 3
