from __future__ import annotations

import json
from pathlib import Path

import pytest

import inscl
from inscl.config.loading import load_config
from inscl.contract import Example
from inscl.data import load_stream
from inscl.engine.parts import Parts
from inscl.errors import ConfigError
from inscl.replay.inscl import InsCL
from pictures import picture
from streams import toy_config


def test_a_strategy_gets_the_parts_that_its_signature_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INSCL_CACHE", str(tmp_path))
    config = {"replay": {"embedder": "ngrams", "tag_embedder": None, "params": {"weights": "uniform"}}}
    parts = Parts.of(load_config(config))
    assert isinstance(parts.strategy, InsCL)
    assert parts.strategy.embedder is parts.embedder
    assert parts.strategy.tag_embedder is None
    assert parts.strategy.weights == "uniform"
    assert Parts.of(load_config({"replay": {"strategy": "random"}})).strategy is not None


def test_a_budget_in_tokens_counts_with_the_models_tokenizer(tiny_model: Path) -> None:
    config = {"model": {"name": str(tiny_model)}, "replay": {"strategy": "random", "budget": {"tokens": 100}}}
    budget = Parts.of(load_config(config)).budget
    # The tiny model's tokenizer has one token a byte; the chat template and the end add theirs.
    short, long = (budget.count_tokens(Example("x" * n, "", ("y",))) for n in (1, 11))
    assert long - short == 10


def test_scorers_keep_their_order() -> None:
    config = load_config({"evaluation": {"metrics": ["token_f1", "rouge_l"]}})
    assert list(Parts.of(config).scorers) == ["token_f1", "rouge_l"]


def test_a_learner_of_texts_is_refused_before_anything_is_trained(tmp_path: Path, tiny_model: Path) -> None:
    for n in range(5):
        (tmp_path / f"{n}.png").write_bytes(picture(n))
    rows = [{"instruction": "Name it.", "output": f"thing {n}", "image": f"{n}.png"} for n in range(5)]
    (tmp_path / "things.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    settings = toy_config(tmp_path / "things.jsonl", tiny_model, tmp_path / "run")
    settings["stream"] = {"path": str(tmp_path / "things.jsonl")}
    with pytest.raises(ConfigError, match=r"\(for fine_tune\) reads text alone, and the task 'things' has pictures"):
        inscl.run(settings)
    assert not (tmp_path / "run").exists()
    settings["stream"]["columns"] = {"images": "="}
    stream = load_stream(tmp_path / "things.jsonl", columns={"images": "="})
    Parts.of(load_config(settings)).check_pictures(stream)
