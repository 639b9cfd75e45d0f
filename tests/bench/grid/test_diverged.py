"""A cell whose loss stops being a number: recorded, counted as the base model from then on, and told."""

from __future__ import annotations

from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from inscl import pipeline
from inscl.bench.grid.grid import Cell, cells_of, load_grid
from inscl.bench.grid.records import is_complete, read_records, record_of, write_record
from inscl.bench.numbers.summary import summarise
from inscl.cli import cell
from inscl.config import kinds
from inscl.contract import Task
from inscl.contract.plan import ReplayPlan
from inscl.contract.seams import LearnReport
from inscl.data.yaml_values import dump_yaml
from inscl.errors import DivergedError, ModelError
from streams import toy_config, toy_stream
from workspace.stub import Stub


class Diverges(Stub):
    """Learns anything but the last task with replay."""

    alone = False

    def learn(self, task: Task, plan: ReplayPlan) -> LearnReport:
        if task.name == "length" and (plan.picks or self.alone):
            raise DivergedError("training diverged: loss nan at step 3; lower learning_rate")
        return super().learn(task, plan)


@pytest.fixture
def cells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Cell]:
    """Random replay, which diverges, and No Replay."""
    entries, entry = kinds._entries, EntryPoint("diverges", f"{__name__}:Diverges", "inscl.learners")
    monkeypatch.setattr(
        kinds, "_entries", lambda kind: {**entries(kind), **({"diverges": entry} if kind == "learners" else {})}
    )
    monkeypatch.setenv("INSCL_CACHE", str(tmp_path / "cache"))
    # A cell is called here as a function: it must not do to this process what it does to one of its own.
    monkeypatch.setattr(cell, "_listen", lambda: None)
    monkeypatch.setattr(cell, "_follow", lambda parent: None)
    model = tmp_path / "model"
    model.mkdir()
    (model / "config.json").write_text("{}")
    (model / "model.safetensors").write_bytes(b"weights")
    run = toy_config(toy_stream(tmp_path / "stream"), model, tmp_path / "unused")
    run["model"].pop("adapter")
    run["training"] = {"learner": "diverges", "epochs": 1}
    run["evaluation"] = {"metrics": ["exact_match"], "base": True, "experts": True}
    grid = {"run": run, "methods": ["random", "none"], "seeds": [0], "output_dir": str(tmp_path / "grid")}
    return cells_of(load_grid(grid))


def test_it_is_recorded_and_counts_as_the_base_model(cells: list[Cell], tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    for one in cells:
        assert not is_complete(one)
        settings = tmp_path / "run.yaml"
        settings.write_text(dump_yaml(one.config.model_dump(mode="json")), encoding="utf-8")
        assert cell.main(str(settings), str(shared)) == 0
        assert is_complete(one)
        write_record(tmp_path / "records", record_of(one))
    found = {record["cell"]["method"]: record for record in read_records(tmp_path / "records")}
    ended, other = found["random"], found["none"]
    assert (ended["diverged"], "diverged" in other) == ("length", False)
    base, first, second, last = ended["scores"]["exact_match"]
    assert last == base != second
    assert first[0] > 0 < second[1]
    assert ended["experts"] == other["experts"]
    assert len(ended["allocation"]) == 2
    table = summarise(list(found.values()))
    rows = {row.method: row for row in table.tables[0].rows}
    assert rows["random"].results["relative_gain_final"].estimate.mean == 0 == base[0] == base[1]
    assert rows["random"].results["forgetting_rate"].estimate.mean == 100
    assert any("training diverged in 1 of 2 cells (random" in note for note in table.notes)


def test_a_new_attempt_begins_the_stage_anew(
    cells: list[Cell], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = cells[0]
    with pytest.raises(DivergedError):
        pipeline.run(one.config)  # alone, it has no experts to make
    assert not list(Path(one.config.output_dir).glob("experts/*/DONE"))
    assert not is_complete(one)
    monkeypatch.setattr(Diverges, "learn", Stub.learn)
    pipeline.run(one.config)
    assert not list(Path(one.config.output_dir).rglob("diverged.json"))
    assert is_complete(one)
    assert "diverged" not in record_of(one)


def test_an_expert_that_diverges_is_a_failure(
    cells: list[Cell], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Diverges, "alone", True)
    with pytest.raises(ModelError, match="an expert can't be made: training diverged"):
        pipeline.run(cells[0].config, shared=tmp_path / "shared")
    assert not is_complete(cells[0])
