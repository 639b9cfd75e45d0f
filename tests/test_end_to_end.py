"""The whole path on the real SmolLM2: three tiny tasks learned with InsCL, killed once and resumed, drawn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import inscl
from inscl import pipeline
from inscl.engine import stage as stages
from inscl.storage.files.atomic import read_json, read_jsonl

pytestmark = pytest.mark.real_model

ORDER = ["grade_review", "rewrite_date", "order_to_json"]
RESULTS = ("plan.json", "replay.jsonl", "scores.json", "predictions/*.jsonl")


def settings(out: Path, tasks: int = 3) -> dict[str, Any]:
    return {
        "stream": {"path": "demo", "order": ORDER[:tasks], "train_per_task": 40, "test_per_task": 6},
        "model": {"name": "smollm2-135m", "prompt": "plain"},
        "replay": {"budget": {"per_task": 8}},
        "training": {"epochs": 1, "learning_rate": 2e-3, "batch_size": 4, "batching": "pack"},
        "evaluation": {"metrics": ["rouge_l", "exact_match"], "max_new_tokens": 24, "base": True},
        "output_dir": str(out),
    }


def results(run: Path, stage: str) -> dict[str, bytes]:
    """The files that say what a stage found, by their names."""
    folder = run / "stages" / stage
    return {str(path.relative_to(folder)): path.read_bytes() for pattern in RESULTS for path in folder.rglob(pattern)}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, smollm2: Path) -> pipeline.Run:
    return inscl.run(settings(tmp_path_factory.mktemp("real") / "run"))


def test_it_learns_each_task_and_remembers_with_replay(finished: pipeline.Run) -> None:
    matrix = finished.scores.array("rouge_l")
    assert not np.isnan(matrix[0]).any()
    assert (np.diag(matrix[1:]) > matrix[0] + 20).all(), "each task is learned"
    assert (matrix[-1] > matrix[0] + 20).all(), "each task is still known at the end"


def test_the_plan_is_what_was_replayed(finished: pipeline.Run) -> None:
    for stage, task in enumerate(ORDER, start=1):
        record = finished.path / "stages" / f"{stage:02d}-{task}"
        plan, learned = read_json(record / "plan.json"), read_json(record / "learn.json")
        assert plan["picks"] == 8 * (stage - 1) == learned["replayed"]
        assert sum(share["allocation"] for share in plan["tasks"]) == plan["picks"]
        assert all(share["reason"]["distance"] > 0 for share in plan["tasks"])
        assert learned["loss"] < 5
        log = read_jsonl(record / "train_log.jsonl")
        assert log[-1]["loss"] < log[0]["loss"]


def test_killed_in_a_stage_and_resumed_it_ends_with_the_same_bytes(
    finished: pipeline.Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Two stages of the three: the third would repeat what the second shows.
    class Killed(BaseException):
        pass

    def kill(*arguments: Any, **keywords: Any) -> Any:
        if len(list((tmp_path / "run" / "stages").glob("*/DONE"))) == 2:  # base and stage 1
            raise Killed
        return evaluate(*arguments, **keywords)

    evaluate = stages.evaluate_together
    monkeypatch.setattr(stages, "evaluate_together", kill)
    with pytest.raises(Killed):
        inscl.run(settings(tmp_path / "run", tasks=2))
    monkeypatch.undo()
    inscl.run(settings(tmp_path / "run", tasks=2))
    for stage in (f"{number:02d}-{task}" for number, task in enumerate(ORDER[:2], start=1)):
        assert results(tmp_path / "run", stage) == results(finished.path, stage) != {}


def test_its_report_is_one_page(finished: pipeline.Run) -> None:
    page = inscl.write_report([finished.path])
    text = page.read_text(encoding="utf-8")
    assert all(task in text for task in ORDER)
    assert page.stat().st_size < 5_000_000
