"""A grid run whole on a tiny model: records, sharing, a failing cell, a kill, another machine's records."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from inscl.bench import bench, estimate, load_grid
from inscl.bench.grid.experiment import choose
from inscl.bench.grid.records import read_records
from inscl.bench.numbers.summary import summarise
from inscl.errors import ConfigError, WorkspaceError
from inscl.storage.files.atomic import read_json
from streams import toy_config, toy_stream


@pytest.fixture(scope="module")
def grid(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Any:
    folder = tmp_path_factory.mktemp("bench")
    shared = toy_config(toy_stream(folder / "stream"), tiny_model, folder / "unused")
    shared["evaluation"].update(base=True, experts=True, between=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("INSCL_CACHE", str(folder / "cache"))
        yield {
            "run": shared,
            "methods": ["none", "random", "joint"],
            "seeds": [0],
            "output_dir": str(folder / "grid"),
        }


@pytest.fixture(scope="module")
def finished(grid: dict[str, Any]) -> Any:
    return bench(grid, jobs=2)


def test_every_cell_is_a_run_folder_with_a_record(finished: Any) -> None:
    assert not finished.failures
    assert len(finished.done) == 3
    for cell in finished.cells:
        assert (Path(cell.config.output_dir) / "metrics.json").exists()
        record = read_json(finished.folder / "records" / f"{cell.key}.json")
        assert record["cell"] == cell.to_json()
        assert np.array(record["scores"]["rouge_l"], dtype=float).shape == (4, 3)
        assert None not in record["experts"]["rouge_l"]


def test_the_budget_is_kept_to_the_example(finished: Any) -> None:
    records = {r["cell"]["method"]: r for r in read_records(finished.folder / "records")}
    assert records["none"]["cost"]["replayed"] == 0
    assert records["random"]["cost"]["replayed"] == 3 + 6
    assert [sum(stage.values()) for stage in records["random"]["allocation"]] == [0, 3, 6]


def test_a_record_has_what_answers_and_the_state_of_a_stage_took(finished: Any) -> None:
    for cell in finished.cells:
        cost = read_json(finished.folder / "records" / f"{cell.key}.json")["cost"]
        stages = [path.parent for path in sorted(Path(cell.config.output_dir).glob("stages/0[1-3]-*/costs.json"))]
        found = [read_json(stage / "costs.json") for stage in stages]
        assert len(found) == 3
        answers = sum(one["answers"] for one in found)
        assert answers == sum(len(rows.read_text().splitlines()) for s in stages for rows in s.glob("predictions/*"))
        assert cost["prompt_tokens_per_answer"] == sum(one["prompt_tokens"] or 0 for one in found) / answers
        # Joint training has a state at its last stage alone.
        sizes = [one["state_bytes"] for one in found if one["state_bytes"]]
        assert len(sizes) == (1 if cell.method == "joint" else 3)
        assert cost["state_bytes"] == sum(sizes) / len(sizes)
        assert 0 < cost["seconds_per_answer"] * answers <= cost["evaluate_seconds"] + 0.1


def test_joint_training_is_one_stage_over_everything(finished: Any) -> None:
    record = next(r for r in read_records(finished.folder / "records") if r["cell"]["method"] == "joint")
    matrix = np.array(record["scores"]["rouge_l"], dtype=float)
    assert np.isnan(matrix[1:3]).all()
    assert not np.isnan(matrix[3]).any()
    assert [sum(stage.values()) > 0 for stage in record["allocation"]] == [False, False, True]
    joint = next(cell for cell in finished.cells if cell.method == "joint")
    assert not list(Path(joint.config.output_dir).glob("stages/01-*/learn.json"))
    learned = read_json(next(Path(joint.config.output_dir).glob("stages/03-*/learn.json")))
    stream = read_json(Path(joint.config.output_dir) / "manifest.json")["stream"]["tasks"]
    assert learned["examples"] + learned["replayed"] == sum(task["train"] for task in stream)


def test_between_caps_only_earlier_tasks_before_the_last_stage(finished: Any) -> None:
    record = next(r for r in read_records(finished.folder / "records") if r["cell"]["method"] == "random")
    tests = list(record["test_examples"].values())
    assert record["answers"] == [[tests[0], 0, 0], [1, tests[1], 0], tests]


def test_experts_and_base_rows_are_made_once_and_shared(finished: Any) -> None:
    shared = finished.folder / "records" / "shared"
    assert len(list(shared.glob("expert-*.json"))) == 3
    assert len(list(shared.glob("base-*.json"))) == 3
    records = read_records(finished.folder / "records")
    assert len({json.dumps(record["experts"]) for record in records}) == 1


def test_the_records_recompute_the_table(finished: Any) -> None:
    again = summarise(read_records(finished.folder / "records"), reference="random")
    assert repr(again) == repr(finished.summary)
    for name in ("table.md", "table.tex", "table.csv", "index.html"):
        assert (finished.folder / name).stat().st_size > 100


def test_a_cell_with_a_record_is_not_run_again_even_on_another_machine(
    finished: Any, grid: dict[str, Any], tmp_path: Path
) -> None:
    began: list[str] = []

    def notify(event: str, cell: Any) -> None:
        began.append(event)

    shutil.copytree(finished.folder / "records", tmp_path / "elsewhere" / "records")
    again = bench(grid, out=tmp_path / "elsewhere", notify=notify)
    assert began == []
    assert len(again.done) == 3
    assert not (tmp_path / "elsewhere" / "runs").exists()


def test_a_record_of_another_grid_is_called_as_in_this_one(finished: Any, grid: dict[str, Any], tmp_path: Path) -> None:
    shutil.copytree(finished.folder / "records", tmp_path / "elsewhere" / "records")
    renamed = {**grid, "methods": [{"name": "No Replay", "strategy": "none"}, "random", "joint"]}
    again = bench(renamed, out=tmp_path / "elsewhere")
    assert {row.method for row in again.summary.tables[0].rows} == {"No Replay", "random", "joint"}


def test_only_what_matches_is_run(finished: Any) -> None:
    assert [cell.method for cell in choose(finished.cells, ["ran*"])] == ["random"]
    assert len(choose(finished.cells, ["*seed 0*"])) == 3
    with pytest.raises(ConfigError, match="no cell matches 'nine'"):
        choose(finished.cells, ["nine"])


def test_an_estimate_counts_what_is_missing(finished: Any, grid: dict[str, Any], tmp_path: Path) -> None:
    assert estimate(load_grid(grid)) == ["nothing to run: all 3 cells have a record"]
    lines = estimate(load_grid({**grid, "seeds": [0, 1]}))
    assert len(lines) == 4
    assert "3 of 6 cells to run" in lines[-1]
    assert "measured in 3 records" in lines[-1]
    record = next(r for r in read_records(finished.folder / "records") if r["cell"]["method"] == "none")
    alone = estimate(load_grid(grid), out=tmp_path / "empty", only=["none"])
    assert f"{record['cost']['tokens']:,} tokens, {sum(map(sum, record['answers'])):,} answers" in alone[0]


def test_a_damaged_record_is_named(finished: Any, grid: dict[str, Any], tmp_path: Path) -> None:
    shutil.copytree(finished.folder / "records", tmp_path / "damaged" / "records")
    record = next((tmp_path / "damaged" / "records").glob("*.json"))
    record.write_text("{}")
    with pytest.raises(WorkspaceError, match=record.name):
        bench(grid, out=tmp_path / "damaged")


def test_a_cell_that_fails_stops_no_other(grid: dict[str, Any], tmp_path: Path) -> None:
    broken = {"name": "broken", "strategy": "none", "set": {"training.max_length": 16}}
    made = bench({**grid, "methods": [broken, "none"]}, out=tmp_path / "grid")
    assert [failure.cell.method for failure in made.failures] == ["broken"]
    assert "max_length" in made.failures[0].reason
    assert [cell.method for cell in made.done] == ["none"]


def test_a_grid_killed_in_the_middle_goes_on_and_ends_as_an_undisturbed_one(
    finished: Any, grid: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "grid.yaml").write_text(yaml.safe_dump(grid))
    command = [sys.executable, "-c", "from inscl.cli import main; main()", "bench", str(tmp_path / "grid.yaml")]
    process = subprocess.Popen([*command, "--out", str(tmp_path / "killed")], start_new_session=True, env=os.environ)
    deadline = time.monotonic() + 240
    while not list((tmp_path / "killed").glob("runs/*/stages/*/DONE")) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert len(list((tmp_path / "killed" / "records").glob("*.json"))) < 3
    time.sleep(3)  # the cell's own process notices that it is alone, and ends
    made = bench(grid, out=tmp_path / "killed")
    assert not made.failures
    for cell in finished.cells:
        ours, theirs = (read_json(f / "records" / f"{cell.key}.json") for f in (made.folder, finished.folder))
        assert (ours["scores"], ours["experts"]) == (theirs["scores"], theirs["experts"])
