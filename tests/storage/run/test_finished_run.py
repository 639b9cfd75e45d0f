"""The loader: whole runs, unfinished ones, damaged ones."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from inscl.contract.scale import PERCENT
from inscl.errors import UserError, WorkspaceError
from inscl.storage.run.finished_run import load_run, load_runs
from reports.conftest import seal_run

WriteRun = Callable[..., Path]


def test_a_whole_run(write_run: WriteRun) -> None:
    run = load_run(write_run("one"))
    assert run.label == "InsCL"
    assert run.learned == 5
    assert run.scorers == ("rouge_l", "exact_match")
    assert run.scales["rouge_l"] == PERCENT
    last, exact = run.score(5, run.tasks[0], "rouge_l"), run.score(5, run.tasks[0], "exact_match")
    assert last is not None
    assert last.mean == pytest.approx(81.0)
    assert exact is not None
    assert exact.mean == pytest.approx(77.0)
    assert run.score(1, run.tasks[4], "rouge_l") is None
    assert run.experts[run.tasks[0]]["rouge_l"].mean == 92
    assert run.metric("rouge_l", "relative_gain", "final") == pytest.approx(100 * 81.75 / 92)
    assert run.metric("rouge_l", "forward_transfer") is None
    stage = run.stages[2]
    assert stage.plan is not None
    assert [share.task for share in stage.plan.tasks] == list(run.tasks[:2])
    assert stage.learned is not None
    assert stage.learned.replay_tokens == 60 * stage.plan.picks
    answers = stage.predictions(run.tasks[0])
    assert answers is not None
    assert len(answers) == 24
    assert stage.predictions(run.tasks[4]) is None


def test_the_average_is_open_where_a_score_is_missing(write_run: WriteRun) -> None:
    run = load_run(write_run("one"))
    assert run.average(2, "rouge_l") == pytest.approx((85.5 + 86) / 2)
    assert run.average(2, "token_f1") is None
    assert run.average(0, "rouge_l") is None


def test_an_unfinished_run(write_run: WriteRun) -> None:
    folder = write_run("half", finished=2)
    (folder / "scores.json").unlink()
    (folder / "stages" / "02-Order_fields_to_JSON" / "DONE").unlink()
    (folder / "inscl.yaml").unlink()
    run = load_run(folder)
    assert run.learned == 1
    assert run.metrics is None
    assert run.config == {}
    assert (run.cells, run.scorers) == ({}, ())
    assert run.stages[1].plan is not None
    assert run.stages[4].plan is None


def test_a_run_that_has_only_begun(write_run: WriteRun) -> None:
    folder = write_run("new", finished=0)
    shutil.rmtree(folder / "stages")
    (folder / "scores.json").unlink()
    run = load_run(folder)
    assert run.learned == 0
    assert run.scorers == ()


def test_the_label_falls_back_on_strategy_and_folder(write_run: WriteRun) -> None:
    assert load_run(write_run("night", label=None)).label == "inscl (night)"
    assert len(load_run(write_run("long", label="x" * 500)).label) == 60


def test_runs_of_one_label_are_told_apart(write_run: WriteRun) -> None:
    runs = load_runs([write_run("first"), write_run("second"), write_run("other", label="Random")])
    assert [run.label for run in runs] == ["InsCL (first)", "InsCL (second)", "Random"]
    runs = load_runs([write_run("a/run"), write_run("b/run")])
    assert len({run.label for run in runs}) == 2


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"not a run folder: it has no manifest\.json"):
        load_run(tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("manifest.json", "{", "manifest.json is damaged"),
        ("manifest.json", "[]", "manifest.json is damaged"),
        ("manifest.json", b"\xff\x00", "manifest.json is damaged"),
        ("scores.json", '{"schema": 1, "metrics": {}, "tasks": ["A"], "cells": []}', "scores.json names other tasks"),
        ("scores.json", '{"schema": 2}', "scores.json is damaged"),
        ("metrics.json", '{"schema": 1, "rouge_l": 3}', "metrics.json is damaged: rouge_l"),
        ("inscl.yaml", "a: [1", "inscl.yaml can't be read"),
        ("inscl.yaml", "- 1", "inscl.yaml is damaged"),
        ("stages/03/plan.json", '{"schema": 1, "new_task": 3}', "plan.json is damaged: new_task"),
        ("stages/03/learn.json", '{"steps": "many"}', "learn.json is damaged: steps"),
        ("stages/03/seconds.json", '{"plan": "long"}', "seconds.json is damaged"),
    ],
)
def test_a_damaged_file_is_named(write_run: WriteRun, name: str, content: str | bytes, said: str) -> None:
    folder = write_run("one", tasks=("A", "B", "Rewrite dates"))
    path = next(folder.glob("stages/03-*")) / Path(name).name if name.startswith("stages") else folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    if name != "manifest.json":
        seal_run(folder)
    with pytest.raises(WorkspaceError) as caught:
        load_run(folder)
    assert said in str(caught.value)
    assert str(folder) in str(caught.value)


def test_damaged_predictions_say_the_line(write_run: WriteRun) -> None:
    run = load_run(write_run("one"))
    path = run.stages[0].folder / "predictions" / f"{run.tasks[0]}.jsonl"
    lines = path.read_text(errors="surrogateescape").split("\n")
    row = json.loads(lines[1])
    row["scores"] = {"rouge_l": "good"}
    lines[1] = json.dumps(row)
    path.write_text("\n".join(lines), errors="surrogateescape")
    seal_run(run.folder)
    with pytest.raises(WorkspaceError, match=r"Route_messages\.jsonl, line 2 is damaged: scores\.rouge_l"):
        run.stages[0].predictions(run.tasks[0])


def test_equal_examples_are_all_kept(write_run: WriteRun) -> None:
    run = load_run(write_run("one"))
    path = run.stages[0].folder / "predictions" / f"{run.tasks[0]}.jsonl"
    path.write_bytes(path.read_bytes() * 2)
    seal_run(run.folder)
    answers = run.stages[0].predictions(run.tasks[0])
    assert answers is not None
    assert len(answers) == 48
