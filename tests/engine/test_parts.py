from __future__ import annotations

from pathlib import Path

import pytest

from inscl.config.loading import load_config
from inscl.contract import Example
from inscl.engine.parts import Parts
from inscl.replay.inscl import InsCL


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
