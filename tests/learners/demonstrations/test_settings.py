from __future__ import annotations

from typing import Any

import pytest

from inscl.embedding.cached import CachedEmbedder
from inscl.embedding.hidden_states import ModelEmbedder
from inscl.embedding.ngrams import NgramEmbedder
from inscl.errors import ConfigError, UnknownComponentError
from inscl.learners import ICL
from inscl.learners.demonstrations.settings import embedder_of
from inscl.testing.made import fake_embedder


def test_every_mistake_is_told_with_its_key_and_the_nearest_name() -> None:
    wrong: dict[str, Any] = {
        "selection": "nearst",
        "order": "up",
        "answers": "wrong",
        "k": -1,
        "held_out": 0,
        "pool": 1.5,
    }
    with pytest.raises(ConfigError) as caught:
        ICL(**wrong, prompt="chatty", precision="fp8", urial="yes", max_length=0)
    found = {problem.key: problem.message for problem in caught.value.problems}
    assert set(found) == {
        *(f"training.params.{key}" for key in (*wrong, "urial")),
        "model.prompt",
        "model.precision",
        "training.max_length",
    }
    assert "did you mean 'nearest'" in found["training.params.selection"]
    assert "'fit'" in found["training.params.k"]


@pytest.mark.parametrize("k", [True, 2.5, "all", None])
def test_k_is_a_whole_number_or_fit(k: Any) -> None:
    with pytest.raises(ConfigError, match="or 'fit', was expected"):
        ICL(k=k)


def test_unknown_parts() -> None:
    with pytest.raises(UnknownComponentError, match="ngrams"):
        ICL(embedder="ngram")
    with pytest.raises(UnknownComponentError, match="no scorer named"):
        ICL(score=5)  # type: ignore[arg-type]
    with pytest.raises(UnknownComponentError, match="rouge_l"):
        ICL(score="rouge")


def test_embedders_by_name_with_parameters_and_by_function() -> None:
    assert embedder_of(fake_embedder, "m") is fake_embedder
    named = embedder_of("model", "folder")
    assert isinstance(named, CachedEmbedder)
    assert isinstance(named.embedder, ModelEmbedder)
    assert named.embedder.model == "folder"
    small = embedder_of({"name": "ngrams", "params": {"dim": 8}}, "m")
    assert isinstance(small, CachedEmbedder)
    assert isinstance(small.embedder, NgramEmbedder)
    assert small.embedder.dim == 8


@pytest.mark.parametrize("embedder", [{"params": {}}, {"nme": "ngrams"}, {"name": "ngrams", "params": 3}, 5])
def test_an_embedder_in_another_form_is_refused_with_its_key(embedder: Any) -> None:
    with pytest.raises(ConfigError, match="expected a name or") as caught:
        ICL(embedder=embedder)
    assert [problem.key for problem in caught.value.problems] == ["training.params.embedder"]
