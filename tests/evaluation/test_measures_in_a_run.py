"""Likelihoods and choices of a real model, from the configuration to matrix and report."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import inscl
from inscl.config.loading import load_config
from inscl.errors import ConfigError, UserError
from inscl.forgetting.of_run import forgotten_of_run
from inscl.learners import FineTune
from inscl.storage.run.finished_run import load_run
from streams import toy_config, toy_stream


def test_measures_go_through_matrix_metrics_and_predictions(tmp_path: Path, tiny_model: Path, monkeypatch) -> None:
    monkeypatch.setenv("INSCL_CACHE", str(tmp_path / "cache"))
    config = toy_config(toy_stream(tmp_path / "stream"), tiny_model, tmp_path / "run")
    config["evaluation"] = {
        **config.get("evaluation", {}),
        "metrics": ["exact_match", "token_accuracy", "choice_accuracy"],
    }
    run = inscl.run(config)
    accuracy = run.scores.array("token_accuracy")
    assert 0 <= accuracy[-1, 0] <= 100
    assert run.metrics["token_accuracy"]["average_performance"] == pytest.approx(accuracy[-1].mean())
    (rows,) = (tmp_path / "run" / "stages").glob("03-*/predictions/upper.jsonl")
    found = [json.loads(line) for line in rows.read_text().splitlines()]
    correct, tokens = (sum(row["likelihood"][key] for row in found) for key in ("correct", "tokens"))
    assert accuracy[-1, 0] == pytest.approx(100 * correct / tokens)


@pytest.mark.parametrize("metric", ["token_accuracy", "answer_loss"])
def test_with_measures_alone_nothing_is_generated(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch, metric: str
) -> None:
    monkeypatch.setenv("INSCL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(FineTune, "answer", lambda *_, **__: pytest.fail("an answer was generated"))
    config = toy_config(toy_stream(tmp_path / "stream"), tiny_model, tmp_path / "run")
    config["evaluation"] = {"metrics": [metric]}
    run = inscl.run(config)
    assert run.metrics[metric]["average_performance"] is not None
    rows = load_run(run.path).stages[2].predictions("upper")
    assert rows is not None
    assert {row.prediction for row in rows.values()} == {None}
    page = inscl.write_report([run.path]).read_text(encoding="utf-8")
    assert "Score matrix" in page
    with pytest.raises(UserError, match="holds no answers, so none can be forgotten"):
        forgotten_of_run(run.path, drop=0.01, metric=metric)


@pytest.mark.parametrize(
    ("metrics", "said"),
    [
        (["exact_match", "choice_acuracy"], "did you mean 'choice_accuracy'"),
        (["answer_los"], "did you mean 'answer_loss'"),
    ],
)
def test_what_a_matrix_does_not_hold_is_refused_before_anything_is_written(
    tmp_path: Path, tiny_model: Path, metrics: list[str], said: str
) -> None:
    config = toy_config(toy_stream(tmp_path / "stream"), tiny_model, tmp_path / "run")
    config["evaluation"] = {"metrics": metrics}
    with pytest.raises(ConfigError, match=said):
        load_config(config)
    assert not (tmp_path / "run").exists()
