"""The whole loop on a tiny random model: records, resume, experts, refusal."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import inscl
from inscl import pipeline
from inscl.config.loading import load_config
from inscl.engine import stage as stages
from inscl.engine.evaluate_stage import evaluate_stage
from inscl.engine.open_run import open_run
from inscl.errors import ConfigError, UserError, WorkspaceError
from inscl.planning.plan import plan_stream
from inscl.storage.files.atomic import read_json, read_jsonl
from inscl.storage.run.shared_scores import SharedScores
from streams import toy_config, toy_stream

pytestmark = pytest.mark.usefixtures("cache")

# Results: the same bytes whatever happened on the way. Times and dates are not results.
RESULTS = ("plan.json", "replay.jsonl", "scores.json", "metrics.json", "costs.json", "predictions/*.jsonl")


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("INSCL_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path, cache: None) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("pipeline")
    made = toy_config(toy_stream(folder / "stream"), tiny_model, folder / "run")
    made["model"]["keep"] = "all"
    return made


@pytest.fixture(scope="module")
def undisturbed(config: dict[str, Any]) -> pipeline.Run:
    return inscl.run(config, overrides=["evaluation.experts=true", "evaluation.base=true"])


def results(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for pattern in RESULTS for path in folder.rglob(pattern)}


def test_what_a_stage_cost_is_counted_as_the_tokenizer_and_the_disk_count_it(
    undisturbed: pipeline.Run, tiny_model: Path
) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    for stage in sorted((undisturbed.path / "stages").glob("0[1-3]-*")):
        rows = [row for path in (stage / "predictions").iterdir() for row in read_jsonl(path)]
        asked = [[{"role": "user", "content": f"{row['instruction']}\n\n{row['input']}"}] for row in rows]
        texts = tokenizer.apply_chat_template(asked, add_generation_prompt=True, tokenize=False)
        read = [len(tokenizer(text, add_special_tokens=False)["input_ids"]) for text in texts]
        kept = [path.stat().st_size for path in (stage / "model").iterdir()]
        costs = {"schema": 1, "answers": len(rows), "prompt_tokens": sum(read), "state_bytes": sum(kept)}
        assert read_json(stage / "costs.json") == costs


def test_every_record_of_the_run_folder_is_there(undisturbed: pipeline.Run) -> None:
    folder = undisturbed.path
    for name in ("inscl.yaml", "manifest.json", "scores.json", "metrics.json", "memory/memory.json"):
        assert (folder / name).exists(), name
    for stage, task in enumerate(("upper", "backwards", "length"), start=1):
        record = folder / "stages" / f"{stage:02d}-{task}"
        for name in (
            "plan.json",
            "replay.jsonl",
            "train_log.jsonl",
            "learn.json",
            "scores.json",
            "seconds.json",
            "costs.json",
            "DONE",
        ):
            assert (record / name).exists(), name
        assert list((record / "model").glob("*.safetensors"))
        assert len(list((record / "predictions").iterdir())) == stage
        assert read_json(record / "plan.json")["picks"] == 3 * (stage - 1) == len(read_jsonl(record / "replay.jsonl"))
        assert read_json(record / "learn.json")["replayed"] == 3 * (stage - 1)
    assert not list(folder.rglob("*.part"))
    assert not list(folder.rglob("*.pkl")) + list(folder.rglob("*.bin"))


def test_the_manifest_is_complete(undisturbed: pipeline.Run) -> None:
    manifest = read_json(undisturbed.path / "manifest.json")
    assert manifest["seed"] == 0
    assert manifest["packages"]["torch"]
    assert manifest["hardware"]["cores"] >= 1
    assert len(manifest["model"]["fingerprint"]) == 64
    assert [task["train"] + task["test"] for task in manifest["stream"]["tasks"]] == [15, 15, 15]


def test_scores_are_means_of_the_predictions_and_cells_not_evaluated_are_absent(undisturbed: pipeline.Run) -> None:
    matrix = undisturbed.scores.array()
    assert matrix.shape == (4, 3)
    assert np.isnan(matrix[1:][np.triu_indices(3, 1)]).all()
    assert not np.isnan(matrix[1:][np.tril_indices(3)]).any()
    assert not np.isnan(matrix[0]).any()
    for cell in read_json(undisturbed.path / "scores.json")["cells"]:
        stage = next((undisturbed.path / "stages").glob(f"{cell['stage']:02d}-*"))
        values = [row["scores"]["rouge_l"] for row in read_jsonl(stage / "predictions" / f"{cell['task']}.jsonl")]
        assert cell["scores"]["rouge_l"]["mean"] == pytest.approx(100 * np.mean(values))
        assert cell["scores"]["rouge_l"]["n"] == len(values)


def test_the_first_expert_is_stage_one(undisturbed: pipeline.Run) -> None:
    assert undisturbed.scores.expert_array()[0] == undisturbed.scores.array()[1, 0]
    assert set(undisturbed.scores.experts) == {"upper", "backwards", "length"}


def test_the_memory_holds_what_was_learned_with_vectors_and_tags(undisturbed: pipeline.Run) -> None:
    opened = open_run(undisturbed.path)
    memory = opened.memory.memory(opened.stream.tasks)
    texts = {text for task in opened.stream for text in task.instructions}
    assert set(memory.vectors) == set(memory.tags) == texts
    assert opened.memory.task("0002") == opened.stream.tasks[1]


@pytest.mark.parametrize("stage", [1, 2])
def test_killed_between_stages_or_inside_one_and_resumed_it_ends_with_the_same_bytes(
    undisturbed: pipeline.Run, config: dict[str, Any], tmp_path: Path, stage: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = {**config, "output_dir": str(tmp_path / "run")}

    class Killed(BaseException):
        pass

    def kill(*arguments: Any, **keywords: Any) -> Any:
        if len(list((tmp_path / "run").rglob("DONE"))) == stage:
            raise Killed
        return evaluate(*arguments, **keywords)

    evaluate = stages.evaluate_together
    monkeypatch.setattr(stages, "evaluate_together", kill)
    with pytest.raises(Killed):
        inscl.run(config)
    monkeypatch.undo()
    monkeypatch.setenv("INSCL_CACHE", str(tmp_path / "another-cache"))
    started = read_json(tmp_path / "run" / "manifest.json")["created"]
    inscl.run(config)
    assert read_json(tmp_path / "run" / "manifest.json")["created"] == started
    inscl.run(config, overrides=["evaluation.experts=true", "evaluation.base=true"])
    assert results(tmp_path / "run") == results(undisturbed.path)


def test_a_finished_run_does_nothing_again(undisturbed: pipeline.Run, config: dict[str, Any]) -> None:
    before = {path: path.stat().st_mtime_ns for path in undisturbed.path.rglob("DONE")}
    again = inscl.run(config)
    assert {path: path.stat().st_mtime_ns for path in undisturbed.path.rglob("DONE")} == before
    np.testing.assert_array_equal(again.scores.array(), undisturbed.scores.array())


def test_another_run_in_the_same_folder_is_refused_with_the_difference(
    undisturbed: pipeline.Run, config: dict[str, Any]
) -> None:
    with pytest.raises(WorkspaceError, match=r"seed was 0, is 1"):
        inscl.run(config, overrides=["seed=1"])


def test_changed_data_is_refused(undisturbed: pipeline.Run, config: dict[str, Any], tmp_path: Path) -> None:
    shutil.copytree(undisturbed.path, tmp_path / "run")
    rows = (toy_stream(tmp_path / "other") / "upper.jsonl").read_text().replace("uword7", "xyz")
    (tmp_path / "other" / "upper.jsonl").write_text(rows)
    changed = {
        **config,
        "output_dir": str(tmp_path / "run"),
        "stream": {**config["stream"], "path": str(tmp_path / "other")},
    }
    with pytest.raises(WorkspaceError, match="content has changed"):
        inscl.run(changed)


def test_a_folder_of_something_else_is_left_alone(config: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(WorkspaceError, match="not empty"):
        inscl.run({**config, "output_dir": str(tmp_path)})
    assert (tmp_path / "letter.txt").read_text() == "dear"


def test_a_model_that_isnt_there_leaves_no_folder(config: dict[str, Any], tmp_path: Path) -> None:
    broken = {**config, "output_dir": str(tmp_path / "run"), "model": {"name": str(tmp_path / "none")}}
    with pytest.raises(inscl.InsclError, match="none"):
        inscl.run(broken)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("training", "params", {"sead": 1}),
        ("training", "hf_args", {"warm_up": 1}),
        ("replay", "params", {"dynamik": 1}),
    ],
)
def test_a_parameter_that_is_refused_leaves_no_folder(
    config: dict[str, Any], tmp_path: Path, section: str, key: str, value: dict[str, Any]
) -> None:
    broken = {**config, "output_dir": str(tmp_path / "run"), section: {**config[section], key: value}}
    with pytest.raises(ConfigError, match=next(iter(value))):
        inscl.run(broken)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("work", [inscl.run, plan_stream])
def test_a_longest_answer_for_a_task_that_isnt_there_leaves_no_folder(
    config: dict[str, Any], tmp_path: Path, work: Callable[[Any], object]
) -> None:
    lengths = {"default": 4, "uper": 5, "lenght": 6, "backwards": 7}
    broken = {**config, "output_dir": str(tmp_path / "run"), "evaluation": {"max_new_tokens": lengths}}
    with pytest.raises(ConfigError) as caught:
        work(broken)
    told = [(problem.key, problem.message.partition("?")[0]) for problem in caught.value.problems]
    assert told == [
        ("evaluation.max_new_tokens.uper", "there is no such task (did you mean 'upper'"),
        ("evaluation.max_new_tokens.lenght", "there is no such task (did you mean 'length'"),
    ]
    assert list(tmp_path.iterdir()) == []


def test_a_longest_answer_may_be_for_a_task_that_is_held_out_or_left_out(config: dict[str, Any]) -> None:
    stream = {**config["stream"], "order": ["upper"], "held_out": ["length"]}
    lengths = {"max_new_tokens": {"length": 5, "backwards": 6}}
    assert len(plan_stream({**config, "stream": stream, "evaluation": lengths})) == 1


def test_missing_cells_can_be_evaluated_later(undisturbed: pipeline.Run, tmp_path: Path) -> None:
    shutil.copytree(undisturbed.path, tmp_path / "run")
    run = evaluate_stage(tmp_path / "run", stage=1, tasks=["length"])
    assert not np.isnan(run.scores.array()[1, 2])
    assert np.isnan(run.scores.array()[1, 1])
    with pytest.raises(ConfigError, match="did you mean 'length'"):
        evaluate_stage(tmp_path / "run", tasks=["lenght"])
    with pytest.raises(UserError, match=r"stages 0 \(the base model\) to 3"):
        evaluate_stage(tmp_path / "run", stage=9)
    with pytest.raises(ConfigError, match="no run there"):
        evaluate_stage(tmp_path / "nothing")


def test_only_the_last_weights_stay_unless_asked(config: dict[str, Any], tmp_path: Path) -> None:
    last = {**config, "output_dir": str(tmp_path / "run"), "model": {**config["model"], "keep": "last"}}
    run = inscl.run(last, overrides=["replay.strategy=none"])
    assert [path.parent.name for path in sorted(run.path.glob("stages/*/model"))] == ["03-length"]
    with pytest.raises(ConfigError, match="not kept"):
        evaluate_stage(run.path, stage=1, tasks=["length"])


def test_a_score_matrix_from_files_equals_the_returned_one(undisturbed: pipeline.Run) -> None:
    metrics = json.loads((undisturbed.path / "metrics.json").read_text())
    assert metrics["rouge_l"]["average_performance"] == pytest.approx(undisturbed.scores.array()[-1].mean())
    # The toy model answers nothing right: experts of 0 can't be divided by, and the file says so.
    if undisturbed.scores.expert_array().min() == 0:
        assert metrics["rouge_l"]["relative_gain"]["final"] is None
        assert "rouge_l.relative_gain" in metrics["undefined"]


def test_joint_training_learns_everything_at_the_last_stage_and_resumes(config: dict[str, Any], tmp_path: Path) -> None:
    joint = {**config, "output_dir": str(tmp_path / "run"), "replay": {**config["replay"], "strategy": "joint"}}
    run = inscl.run(joint)
    assert np.isnan(run.scores.array()[:3]).all()
    assert not np.isnan(run.scores.array()[3]).any()
    assert read_json(run.path / "stages" / "01-upper" / "plan.json")["notes"]
    assert len(read_jsonl(run.path / "stages" / "03-length" / "replay.jsonl")) == sum(
        len(task.train) for task in run.stream.tasks[:2]
    )
    before = results(run.path)
    shutil.rmtree(run.path / "stages" / "03-length")
    inscl.run(joint)
    assert results(run.path) == before
    assert inscl.write_report([run.path]).exists()


def test_a_strategy_can_ask_the_model_as_it_is_for_its_losses(config: dict[str, Any], tmp_path: Path) -> None:
    replay = {**config["replay"], "strategy": "loss", "params": {"candidates": 2}}
    run = inscl.run({**config, "output_dir": str(tmp_path / "run"), "replay": replay})
    plans = [read_json(run.path / "stages" / name / "plan.json") for name in ("02-backwards", "03-length")]
    assert [plan["picks"] for plan in plans] == [3, 6]
    assert any("loss" in note for note in plans[1]["notes"])


def test_scores_of_experts_and_base_are_shared_between_runs(config: dict[str, Any], tmp_path: Path) -> None:
    both = {**config, "evaluation": {**config["evaluation"], "experts": True, "base": True}}
    first = pipeline.run({**both, "output_dir": str(tmp_path / "one")}, shared=tmp_path / "shared")
    files = {path: path.stat().st_mtime_ns for path in (tmp_path / "shared").iterdir()}
    assert len(files) == 6
    second = pipeline.run({**both, "output_dir": str(tmp_path / "two")}, shared=tmp_path / "shared")
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "shared").iterdir()} == files
    assert not list((tmp_path / "two" / "experts").glob("*/learn.json"))
    np.testing.assert_array_equal(first.scores.expert_array(), second.scores.expert_array())
    np.testing.assert_array_equal(first.scores.array(), second.scores.array())


def test_what_another_run_is_making_is_waited_for_and_taken_over(config: dict[str, Any], tmp_path: Path) -> None:
    both = {**config, "evaluation": {**config["evaluation"], "experts": True, "base": True}}
    whole = pipeline.run({**both, "output_dir": str(tmp_path / "one")}, shared=tmp_path / "shared")
    settings = load_config({**both, "output_dir": str(tmp_path / "two")})
    known = SharedScores(tmp_path / "others", settings, read_json(whole.path / "manifest.json")["model"]["fingerprint"])
    mine = {name: {"mean": 12.5, "standard_error": None, "n": 2} for name in settings.evaluation.metrics}
    tasks = whole.stream.tasks
    with ThreadPoolExecutor(1) as pool, ExitStack() as claims:
        base = claims.enter_context(ExitStack())
        assert base.enter_context(known.claimed("base", min(tasks, key=lambda task: task.name)))
        assert claims.enter_context(known.claimed("expert", tasks[1]))
        running = pool.submit(pipeline.run, settings, shared=tmp_path / "others")
        others = tmp_path / "two" / "experts"
        assert not wait([running], timeout=3).done
        assert not list((tmp_path / "two" / "stages").glob("*/DONE"))
        for task in tasks:
            known.put("base", task, mine)
        base.close()
        while len(list(others.glob("*/DONE"))) < len(tasks) - 1:  # the others don't wait for it
            assert not wait([running], timeout=0.1).done
        known.put("expert", tasks[1], mine)
        claims.close()
        second = running.result(60)
    assert second.scores.array()[0].tolist() == [12.5] * len(tasks)
    assert second.scores.expert_array()[1] == 12.5
    assert not list(others.glob("02-*/learn.json"))
