"""Likelihoods and choices of a real model, from the configuration to matrix and report."""

from __future__ import annotations

import json
import math
import statistics
from pathlib import Path
from typing import Any

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
        "metrics": ["exact_match", "token_accuracy"],
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


def closed_stream(folder: Path, rows: int = 60) -> Path:
    """Two tasks, of which one is a choice between two options."""
    folder.mkdir(parents=True, exist_ok=True)
    words = [f"word{k * 7 % 100}" for k in range(rows)]
    tasks = {
        "even": [
            {"instruction": "Is it even?", "input": w, "output": ("yes", "no")[k % 2]} for k, w in enumerate(words)
        ],
        "upper": [{"instruction": "Shout.", "input": word, "output": word.upper()} for word in words],
    }
    for name, lines in tasks.items():
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return folder


def losses(tmp_path: Path, tiny_model: Path, out: str) -> dict[str, Any]:
    config = toy_config(closed_stream(tmp_path / "closed"), tiny_model, tmp_path / out)
    config["stream"]["order"] = ["even", "upper"]
    config["evaluation"] = {
        "metrics": ["answer_loss", "choice_accuracy", "log_loss", "exact_match"],
        "test_examples": {"generation": 2, "likelihood": 6},
        "max_new_tokens": 4,
        "experts": True,
    }
    return config


def test_a_loss_leads_and_choices_are_made_by_a_real_model(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INSCL_CACHE", str(tmp_path / "cache"))
    run = inscl.run(losses(tmp_path, tiny_model, "run"))
    assert run.scores.scales["answer_loss"].is_loss
    found = [
        json.loads(line) for line in (tmp_path / "run/stages/02-upper/predictions/even.jsonl").read_text().splitlines()
    ]
    assert len(found) == 6
    asked = {metric: score["n"] for metric, score in run.scores.cells[2, "even"].items()}
    assert asked == {"answer_loss": 6, "choice_accuracy": 6, "log_loss": 6, "exact_match": 2}
    # The open task has no options; what is generated is two rows of it.
    assert {metric: score["n"] for metric, score in run.scores.cells[2, "upper"].items()} == {
        "answer_loss": 6,
        "exact_match": 2,
    }
    nats, tokens = (sum(row["likelihood"][key] for row in found) for key in ("nats", "tokens"))
    cell = run.scores.cells[2, "even"]
    assert cell["answer_loss"]["mean"] == pytest.approx(-nats / tokens)
    right = [row["options"].index(row["references"][0]) for row in found]
    chosen = [row["option_log_probabilities"] for row in found]
    surprise = [-known[place] for known, place in zip(chosen, right, strict=True)]
    assert cell["log_loss"]["mean"] == pytest.approx(sum(surprise) / 6)
    assert cell["log_loss"]["standard_error"] == pytest.approx(statistics.stdev(surprise) / 6**0.5)
    best = [known.index(max(known)) == place for known, place in zip(chosen, right, strict=True)]
    assert cell["choice_accuracy"]["mean"] == pytest.approx(100 * sum(best) / 6)
    gain = run.metrics["answer_loss"]["perplexity_gain"]["final"]
    expert = run.scores.expert_array("answer_loss")[0]
    assert gain == pytest.approx(100 * math.exp(expert - cell["answer_loss"]["mean"]))
    assert "answer_loss.relative_gain" in run.metrics["undefined"]
    seconds = json.loads((tmp_path / "run/stages/02-upper/seconds.json").read_text())
    assert {"evaluate_text", "evaluate_likelihood", "evaluate_choice"} <= set(seconds)


def test_an_evaluation_that_is_cut_between_likelihoods_and_choices_ends_with_the_same_bytes(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INSCL_CACHE", str(tmp_path / "cache"))
    straight = {**losses(tmp_path, tiny_model, "straight")}
    straight["evaluation"]["experts"] = False
    inscl.run(straight)
    cut = {**straight, "output_dir": str(tmp_path / "cut")}
    asked, likelihoods, choose = [], FineTune.log_likelihoods, FineTune.choose

    def counted(self, questions, answers):
        asked.append(len(questions))
        return likelihoods(self, questions, answers)

    def dying(self, questions, normalise=True):
        raise KeyboardInterrupt

    monkeypatch.setattr(FineTune, "log_likelihoods", counted)
    monkeypatch.setattr(FineTune, "choose", dying)
    with pytest.raises(KeyboardInterrupt):
        inscl.run(cut)
    assert asked == [6]
    monkeypatch.setattr(FineTune, "choose", choose)
    inscl.run(cut)
    # The likelihoods of stage 1 were kept: only those of stage 2 were asked for.
    assert asked == [6, 6, 6]
    for file in ("scores.json", "metrics.json", "stages/01-even/predictions/even.jsonl"):
        assert (tmp_path / "cut" / file).read_bytes() == (tmp_path / "straight" / file).read_bytes()


def test_a_choice_without_options_is_refused_before_anything_is_written(tmp_path: Path, tiny_model: Path) -> None:
    config = losses(tmp_path, tiny_model, "run")
    config["stream"]["options"] = "none"
    with pytest.raises(ConfigError, match="choice_accuracy is defined for no task of this stream"):
        inscl.run(config)
    assert not (tmp_path / "run").exists()
