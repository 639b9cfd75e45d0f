"""What a grid would cost, against sums made by hand; the learner counts words and needs no model."""

from __future__ import annotations

import json
import re
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from bench.cells import record
from inscl.bench import estimate, load_grid
from inscl.bench.grid import experiment
from inscl.bench.grid.records import write_record
from inscl.config import kinds
from inscl.errors import DataError
from inscl.storage.files.provenance import hardware

WORDS = {"a": 5, "b": 9, "c": 13}  # of an example: prompt and answer


@pytest.fixture
def grid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Three tasks of four train examples and two test examples."""
    parrot = EntryPoint("parrot", "plugin_package.inscl_plugin_example.parrot:Parrot", "inscl.learners")
    entries = kinds._entries
    more = {"learners": {"parrot": parrot}}
    monkeypatch.setattr(kinds, "_entries", lambda kind: {**entries(kind), **more.get(kind, {})})
    monkeypatch.setenv("INSCL_CACHE", str(tmp_path / "cache"))
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text("{}")
    (tmp_path / "model" / "model.safetensors").write_bytes(b"")
    for name, words in WORDS.items():
        for split, count in (("train", 4), ("test", 2)):
            rows = [
                {"instruction": "say", "input": f"{split}{k}{name} " + "x " * (words - 3), "output": "y"}
                for k in range(count)
            ]
            path = tmp_path / "stream" / name / f"{split}.jsonl"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    run = {
        "stream": {"path": str(tmp_path / "stream"), "order": list(WORDS)},
        "model": {"name": str(tmp_path / "model")},
        "replay": {"budget": {"per_task": 1}, "embedder": "ngrams", "tag_embedder": None},
        "training": {"learner": "parrot", "epochs": 2},
        "evaluation": {"between": 1},
    }
    return {
        "run": run,
        "methods": ["none", "random", "full", "joint"],
        "seeds": 1,
        "output_dir": str(tmp_path / "g"),
    }


def test_tokens_and_answers_of_every_cell(grid: dict[str, Any]) -> None:
    lines = estimate(load_grid(grid))
    found = {line.split(",")[0]: [int(n) for n in re.findall(r"(\d+) (?:tokens|answers)", line)] for line in lines[:-1]}
    new = 4 * (5 + 9 + 13)
    # Two epochs each. Random: one example of 5 at stage 2; two of 7 on average at stage 3. Full: 4 of 5, then 8 of 7.
    # Answers: stage 1 asks 2, stage 2 asks 2 + 1, stage 3 all 6.
    assert found == {
        "none": [2 * new, 11],
        "random": [2 * (new + 5 + 2 * 7), 11],
        "full": [2 * (new + 4 * 5 + 8 * 7), 11],
        "joint": [2 * new, 6],
    }
    assert lines[-1].startswith("4 of 4 cells to run")
    assert "measured now on eight examples" in lines[-1]


def test_a_sample_of_the_test_examples_is_what_is_answered(grid: dict[str, Any]) -> None:
    def answers(most: Any) -> int:
        evaluation = {"metrics": ["exact_match"], "test_examples": most}
        run = {**grid["run"], "evaluation": evaluation}
        line, _ = estimate(load_grid({**grid, "run": run, "methods": ["none"]}))
        return int(re.findall(r"(\d+) answers", line)[0])

    # Stages ask one, two and three tasks, of two test examples each.
    assert answers(None) == answers({"likelihood": 1}) == 12
    assert answers(1) == answers({"generation": 1}) == 6


def test_a_method_that_repeats_the_new_task_trains_on_its_examples(grid: dict[str, Any]) -> None:
    lines = estimate(load_grid({**grid, "methods": ["random", "repeat"]}), only=["repeat"])
    # One more example of 9 at stage 2, two of 13 at stage 3.
    assert f"{2 * (4 * 27 + 9 + 2 * 13)} tokens" in lines[0]


def test_a_budget_in_tokens_and_a_choice_of_cells(grid: dict[str, Any]) -> None:
    grid = {**grid, "budgets": [{"tokens": 6}]}
    lines = estimate(load_grid(grid), only=["random"])
    # Six tokens at stages 2 and 3, as if examples could be cut.
    assert "random" in lines[0]
    assert f"{2 * (4 * 27 + 6 + 6)} tokens" in lines[0]
    assert lines[-1].startswith("1 of 4 cells to run")


@pytest.mark.parametrize("cost", [{"tokens": 0}, {"train_seconds": 0.0}, {"evaluate_seconds": 0.0}])
def test_records_without_a_speed_leave_the_time_unknown(grid: dict[str, Any], cost: dict[str, float]) -> None:
    made = record(hardware=hardware(), answers=[[2, 0], [2, 2]])
    # Without seconds of training a record isn't asked, and eight examples are.
    write_record(Path(grid["output_dir"]) / "records", {**made, "key": "k", "cost": {**made["cost"], **cost}})
    lines = estimate(load_grid(grid))
    if "train_seconds" in cost:
        assert "measured now on eight examples" in lines[-1]
    else:
        assert all("answers, time unknown" in line for line in lines[:-1])
        assert "cells to run, time unknown in all" in lines[-1]
        assert "measured in 1 records of this machine, without a speed" in lines[-1]


def test_tables_that_cannot_be_written_stop_no_cell_and_are_reported_at_the_end(
    grid: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    finished: list[str] = []

    def run(cells: Any, shared: Path, *, finished: Any, **other: Any) -> list[Any]:
        for cell in cells:
            finished(cell)
        return []

    def refuse(*given: Any) -> None:
        raise DataError("two records of the same cell")

    monkeypatch.setattr(experiment, "run_cells", run)
    monkeypatch.setattr(experiment, "record_of", lambda cell: {**record(cell.method), "key": cell.key})
    monkeypatch.setattr(experiment, "write_tables", refuse)
    with pytest.raises(DataError, match="two records of the same cell"):
        experiment.bench(grid, notify=lambda event, cell: finished.append(cell.method))
    assert finished == ["none", "random", "full", "joint"]
