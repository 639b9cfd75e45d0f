"""A run with tasks that are held out: scored by the base model and at every stage, and never learned nor replayed."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import inscl
from inscl import pipeline
from inscl.bench.grid.grid import cells_of, load_grid
from inscl.bench.grid.records import is_complete, read_records, record_of, write_record
from inscl.bench.numbers.summary import summarise
from inscl.data.yaml_values import parse_yaml
from inscl.doctor.verification import verify
from inscl.engine import stage as stages
from inscl.engine.evaluate_stage import evaluate_stage
from inscl.engine.open_run import open_run
from inscl.errors import InsclError
from inscl.storage.files.atomic import read_json, read_jsonl
from streams import toy_config, toy_stream
from test_pipeline import results

pytestmark = pytest.mark.usefixtures("cache")


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("INSCL_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path, cache: None) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("held")
    made = toy_config(toy_stream(folder / "stream"), tiny_model, folder / "run")
    made["stream"] = {"path": str(folder / "stream"), "held_out": ["length"], "test_per_task": 4}
    made["evaluation"]["metrics"] = ["token_f1", "token_accuracy", "answer_loss"]
    made["training"] |= {"epochs": 4, "learning_rate": 0.02}  # so that the scores of what is not learned change too
    made["model"]["keep"] = "all"
    return made


@pytest.fixture(scope="module")
def whole(config: dict[str, Any]) -> pipeline.Run:
    return inscl.run(config)


def test_it_is_scored_at_every_stage_and_the_base_and_is_in_no_other_metric(whole: pipeline.Run) -> None:
    assert whole.scores.tasks == ("backwards", "upper")
    assert whole.scores.held_out == ("length",)
    for metric in whole.scores.metrics:
        assert not np.isnan(whole.scores.held_out_array(metric)).any()
        assert np.isnan(whole.scores.array(metric)[0]).all()  # the base model is asked no more than is needed
    written = read_json(whole.path / "scores.json")
    assert written["held_out"] == ["length"]
    cells = [(cell["stage"], cell["task"]) for cell in written["cells"]]
    assert cells == [(0, "length"), (1, "backwards"), (1, "length"), (2, "backwards"), (2, "upper"), (2, "length")]
    metrics = read_json(whole.path / "metrics.json")["token_accuracy"]
    assert metrics["average_performance"] == pytest.approx(whole.scores.array("token_accuracy")[2].mean())
    assert set(metrics["forgetting_rate"]["by_task"]) == {"backwards", "upper"}


def test_general_delta_is_the_change_since_the_base_model(whole: pipeline.Run) -> None:
    (start,), (middle,), (end,) = whole.scores.held_out_array("token_accuracy")
    assert start != end  # so that there is a change to be told
    assert whole.metrics["token_accuracy"]["general_delta"] == {
        "final": pytest.approx(end - start),
        "by_stage": {"1": pytest.approx(middle - start), "2": pytest.approx(end - start)},
        "by_task": {"length": pytest.approx(end - start)},
    }
    (start,), _, (end,) = whole.scores.held_out_array("answer_loss")
    assert end < start
    assert whole.metrics["answer_loss"]["general_delta"]["final"] == pytest.approx(start - end)  # less loss is better


def test_a_grid_tells_it_from_its_records(whole: pipeline.Run, config: dict[str, Any], tmp_path: Path) -> None:
    (cell,) = cells_of(load_grid({"run": config, "methods": ["none"], "seeds": [0], "output_dir": str(tmp_path)}))
    done = cell.config.model_copy(update={"output_dir": str(whole.path)})
    write_record(tmp_path / "records", record_of(replace(cell, config=done)))
    (record,) = read_records(tmp_path / "records")
    assert record["held_out"]["tasks"] == ["length"]
    for metric in whole.scores.metrics:
        assert record["held_out"]["scores"][metric] == whole.scores.held_out_array(metric).tolist()
        (row,) = summarise([record], metric=metric).tables[0].rows
        expected = whole.metrics[metric]["general_delta"]["final"]
        assert row.results["general_delta"].estimate.mean == pytest.approx(expected)


def test_it_is_never_learned_nor_replayed(whole: pipeline.Run) -> None:
    opened = open_run(whole.path)
    assert [task.name for task in map(opened.memory.task, opened.memory.keys())] == ["backwards", "upper"]
    for plan in whole.path.glob("stages/*/replay.jsonl"):
        assert "length" not in {row["task"] for row in read_jsonl(plan)}
    assert [path.name for path in sorted(whole.path.glob("stages/*"))] == ["00-base", "01-backwards", "02-upper"]
    assert "length" not in opened.stream.names


@pytest.mark.parametrize("stage", [0, 1])
def test_killed_and_resumed_it_ends_with_the_same_bytes(
    whole: pipeline.Run, config: dict[str, Any], tmp_path: Path, stage: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def kill(*arguments: Any, **keywords: Any) -> Any:
        if len(list((tmp_path / "run").rglob("DONE"))) == stage:
            raise Killed
        return evaluate(*arguments, **keywords)

    evaluate = stages.evaluate_together
    monkeypatch.setattr(stages, "evaluate_together", kill)
    config = {**config, "output_dir": str(tmp_path / "run")}
    with pytest.raises(Killed):
        inscl.run(config)
    monkeypatch.undo()
    inscl.run(config)
    assert results(tmp_path / "run") == results(whole.path)


def test_the_rest_of_the_base_row_can_be_asked_for_later(
    whole: pipeline.Run, config: dict[str, Any], tmp_path: Path
) -> None:
    both = inscl.run({**config, "output_dir": str(tmp_path / "both")}, overrides=["evaluation.base=true"])
    shutil.copytree(whole.path, tmp_path / "later")
    later = inscl.run({**config, "output_dir": str(tmp_path / "later")}, overrides=["evaluation.base=true"])
    assert not np.isnan(later.scores.array()[0]).any()
    for name in ("scores.json", "metrics.json"):
        assert (tmp_path / "later" / name).read_bytes() == (both.path / name).read_bytes()


def test_the_base_row_is_shared_between_runs(whole: pipeline.Run, config: dict[str, Any], tmp_path: Path) -> None:
    first = pipeline.run({**config, "output_dir": str(tmp_path / "one")}, shared=tmp_path / "shared")
    assert [path.name.partition("-")[0] for path in (tmp_path / "shared").glob("*.json")] == ["base"]
    second = pipeline.run({**config, "output_dir": str(tmp_path / "two")}, shared=tmp_path / "shared")
    assert not list((tmp_path / "two" / "stages" / "00-base").glob("predictions/*"))
    assert first.scores == second.scores == whole.scores


def test_it_can_be_scored_by_name(whole: pipeline.Run, tmp_path: Path) -> None:
    shutil.copytree(whole.path, tmp_path / "run")
    again = evaluate_stage(tmp_path / "run", stage=0)
    assert not np.isnan(again.scores.array()[0]).any()
    assert again.scores.held_out_array().tolist() == whole.scores.held_out_array().tolist()
    with pytest.raises(InsclError, match="did you mean 'length'"):
        evaluate_stage(tmp_path / "run", tasks=["lenght"])


@pytest.fixture(scope="module")
def with_experts(config: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> pipeline.Run:
    folder = tmp_path_factory.mktemp("experts")
    toy_stream(folder / "stream")
    rows = (folder / "stream" / "length.jsonl").read_text().splitlines(keepends=True)
    (folder / "stream" / "length.jsonl").unlink()
    (folder / "stream" / "length").mkdir()
    (folder / "stream" / "length" / "train.jsonl").write_text("".join(rows[:10]))
    (folder / "stream" / "length" / "test.jsonl").write_text("".join(rows[10:]))
    stream = {**config["stream"], "path": str(folder / "stream")}
    metrics = {"metrics": ["token_accuracy", "answer_loss"], "experts": True}
    evaluation = {**config["evaluation"], **metrics}
    made = {**config, "stream": stream, "evaluation": evaluation, "output_dir": str(folder / "run")}
    return pipeline.run(made, shared=folder / "shared")


def test_p_score_is_the_share_of_the_held_out_tasks_experts(with_experts: pipeline.Run) -> None:
    run = with_experts
    assert sorted(path.name for path in run.path.glob("experts/*")) == ["01-backwards", "02-upper", "03-length"]
    (expert,) = run.scores.held_out_expert_array("token_accuracy")
    reached = run.scores.held_out_array("token_accuracy")[:, 0]
    assert expert > 0
    assert run.metrics["token_accuracy"]["p_score"] == {
        "final": pytest.approx(100 * reached[2] / expert),
        "by_stage": {str(t): pytest.approx(100 * reached[t] / expert) for t in range(3)},
        "by_task": {"length": pytest.approx(100 * reached[2] / expert)},
    }
    assert "token_accuracy.p_score" not in run.metrics["undefined"]
    assert "better when lower" in run.metrics["undefined"]["answer_loss.p_score"]
    # The expert learned its ten train rows and nothing else; the stages learned none of them.
    assert read_json(run.path / "experts" / "03-length" / "learn.json")["examples"] == 4 * 10  # epochs, rows
    assert [path.name.partition("-")[0] for path in (run.path.parent / "shared").glob("*.json")].count("expert") == 3


def test_p_score_is_shown_and_recorded(
    with_experts: pipeline.Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from inscl.cli.tables import print_run

    print_run(with_experts)
    _, _, held_out = capsys.readouterr().out.partition("held out, never learned")
    assert "experts" in held_out
    assert "p_score: " in held_out
    page = inscl.write_report([with_experts.path], tmp_path / "report.html").read_text(encoding="utf-8")
    assert "P-score" in page
    run = parse_yaml((with_experts.path / "inscl.yaml").read_text(encoding="utf-8"))
    grid = {"run": run, "methods": [run["replay"]["strategy"]], "seeds": [run["seed"]], "output_dir": str(tmp_path)}
    (cell,) = cells_of(load_grid(grid))
    done = replace(cell, config=cell.config.model_copy(update={"output_dir": str(with_experts.path)}))
    assert is_complete(done)
    write_record(tmp_path / "records", record_of(done))
    # Without the expert of the task that is held out the cell isn't done yet.
    shutil.copytree(with_experts.path, tmp_path / "half")
    (tmp_path / "half" / "experts" / "03-length" / "DONE").unlink()
    assert not is_complete(replace(cell, config=cell.config.model_copy(update={"output_dir": str(tmp_path / "half")})))
    (row,) = summarise(read_records(tmp_path / "records"), metric="token_accuracy").tables[0].rows
    assert row.results["p_score"].estimate.mean == with_experts.metrics["token_accuracy"]["p_score"]["final"]
    assert not list(verify(with_experts.path))


def test_without_experts_the_reason_is_told(whole: pipeline.Run) -> None:
    for metric in ("token_f1", "token_accuracy"):
        assert whole.metrics[metric]["p_score"]["final"] is None
        assert "experts of the tasks that are held out" in whole.metrics["undefined"][f"{metric}.p_score"]


def test_reports_and_checks_know_it(whole: pipeline.Run, tmp_path: Path) -> None:
    page = inscl.write_report([whole.path], tmp_path / "report.html").read_text(encoding="utf-8")
    assert page.count("Held out: scored at every stage") == 2 * len(whole.scores.metrics)  # captions and their labels
    assert "7 test examples, 1 more held out" in page
    assert "general delta" in page
    assert not list(verify(whole.path))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (["stream.held_out=[lenght]"], "lenght"),
        (["stream.held_out=[length,upper,backwards]"], "every task is held out"),
        (["stream.order=[upper,length]"], "is in stream.order too"),
    ],
)
def test_what_can_not_be_held_out_leaves_no_folder(
    config: dict[str, Any], tmp_path: Path, changes: list[str], said: str
) -> None:
    with pytest.raises(InsclError, match=said):
        inscl.run({**config, "output_dir": str(tmp_path / "run")}, overrides=changes)
    assert not (tmp_path / "run").exists()


def test_a_run_without_it_is_another_run(whole: pipeline.Run, config: dict[str, Any]) -> None:
    with pytest.raises(InsclError, match=r"stream\.held_out was"):
        inscl.run(config, overrides=["stream.order=[backwards,upper]", "stream.held_out=[]"])


def test_a_workspace_refuses_it(tiny_model: Path, tmp_path: Path) -> None:
    with pytest.raises(InsclError, match=r"stream\.held_out: is for runs"):
        inscl.Workspace.init(tmp_path / "w", model=str(tiny_model), changes=["stream.held_out=[a]"])
    assert not (tmp_path / "w").exists()


def test_the_command_line_shows_it(whole: pipeline.Run, capsys: pytest.CaptureFixture[str]) -> None:
    from inscl.cli.data import show
    from inscl.cli.tables import print_run

    print_run(whole)
    _, _, held_out = capsys.readouterr().out.partition("held out, never learned")
    assert [line.split()[0] for line in held_out.splitlines() if line.strip()[:1].isalnum()][:4] == [
        *("after", "base", "1", "2"),
    ]
    assert "general_delta: 0.0" in held_out
    show(str(whole.path / "inscl.yaml"))
    assert "length: held out, 4 test" in capsys.readouterr().out
