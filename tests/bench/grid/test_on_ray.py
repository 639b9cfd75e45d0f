"""A grid on a Ray cluster of two nodes: the local pool's tables to the byte, though a worker is killed midway."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from bench.patient import declare_patient, patient_grid
from inscl.bench import Bench, Needs, RayPool, bench
from inscl.bench.grid import on_ray
from inscl.bench.grid.records import read_records
from inscl.bench.numbers.summary import summarise
from inscl.bench.show.render import to_csv, to_html, to_latex, to_markdown
from ray_start import started

OF_THE_MACHINE = ("created", "hardware", "packages")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder in which the learner is known to this process and to the cluster's."""
    folder = tmp_path_factory.mktemp("on-ray")
    with pytest.MonkeyPatch.context() as patch:
        declare_patient(folder, patch)
        yield folder


@pytest.fixture(scope="module")
def cluster(place: Path) -> Iterator[Any]:
    """A connection to two nodes with a core each, and a head without any."""
    ray = pytest.importorskip("ray", reason="Ray isn't installed: pip install 'inscl[ray]'")
    from ray.cluster_utils import Cluster

    size = {"object_store_memory": 80 * 2**20}
    head = {"num_cpus": 0, "include_dashboard": False, **size}
    nodes = started(ray, lambda: Cluster(initialize_head=True, head_node_args=head))
    try:
        for _ in range(2):
            nodes.add_node(num_cpus=1, **size)
        ray.init(address=nodes.address, log_to_driver=False)
        yield nodes
    finally:
        ray.shutdown()
        nodes.shutdown()


@pytest.fixture
def grid(place: Path) -> dict[str, Any]:
    return patient_grid(place, task="backwards", until=str(place / "go"))


def killing(place: Path, out: Path, told: list[str]) -> Callable[[str, Any], None]:
    """Told of events, and kills the first worker once its cell has a stage and is in the middle of the next one."""

    def notify(event: str, cell: Any) -> None:
        told.append(event)
        if event != "started" or (place / "go").exists():
            return
        deadline = time.monotonic() + 100
        while not list(Path(cell.config.output_dir).glob("stages/01-*/DONE")):
            assert time.monotonic() < deadline, "the first cell made no stage"
            time.sleep(0.05)
        (work,) = [
            p for p in psutil.process_iter(["cmdline"]) if f"{cell.config.output_dir}.yaml" in (p.info["cmdline"] or ())
        ]
        os.kill(work.ppid(), signal.SIGKILL)
        work.wait(20)  # it notices that it is alone
        (place / "go").touch()

    return notify


def comparable(made: Bench) -> list[dict[str, Any]]:
    """Records without what differs from one hour or machine to the next."""
    records = []
    for record in read_records(made.folder / "records"):
        cost = {name: 1.0 if "seconds" in name else value for name, value in record["cost"].items()}
        records.append({**{k: v for k, v in record.items() if k not in OF_THE_MACHINE}, "cost": cost})
    return records


def test_the_tables_are_those_of_the_local_pool_though_a_worker_was_killed(
    grid: dict[str, Any], place: Path, cluster: Any
) -> None:
    told: list[str] = []
    out = place / "on ray"
    made = bench(grid, out=out, pool=RayPool(), notify=killing(place, out, told))
    assert made.failures == []
    assert sorted(told) == ["finished"] * 4 + ["started"] * 4 + ["started again"]
    local = bench(grid, out=place / "local", jobs=2)
    ours, theirs = comparable(made), comparable(local)
    assert ours == theirs
    for render in (to_markdown, to_csv, to_latex, to_html):
        texts = [render(summarise(records, reference="random")) for records in (ours, theirs)]
        assert texts[0] == texts[1]
    assert re.search(r"random .*\d\d\.\d", to_markdown(summarise(ours, reference="random")))
    # The first task's expert is stage 1, and so nobody's work; the other two are made once a seed.
    assert len(list(out.glob("runs/*/experts/*/learn.json"))) == 4
    assert {path.name for path in (out / "records" / "shared").iterdir()} == {
        path.name for path in (local.folder / "records" / "shared").iterdir()
    }


def test_a_cell_whose_worker_is_lost_too_often_has_failed_and_stops_no_other(
    grid: dict[str, Any], place: Path, cluster: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(on_ray, "RETRIES", 0)
    (place / "go").unlink(missing_ok=True)
    told: list[str] = []
    out = place / "lost"
    made = bench(grid, out=out, only=["*seed 0*"], pool=RayPool(jobs=1), notify=killing(place, out, told))
    assert ["its worker was lost 1 times" in failure.reason for failure in made.failures] == [True]
    assert len(made.done) == 1
    assert told == ["started", "started", "finished"]


def test_a_cell_too_large_for_every_node_says_what_it_waits_for(
    grid: dict[str, Any], place: Path, cluster: Any
) -> None:
    class Enough(Exception):
        pass

    def notify(event: str, cell: Any) -> None:
        told.append(event)
        raise Enough

    told: list[str] = []
    with pytest.raises(Enough):
        bench(grid, out=place / "large", pool=RayPool(needs=Needs(cpus=3, gpus=1)), notify=notify)
    assert told == ["waiting for a node with 3 CPUs, 1 GPU"]
