from __future__ import annotations

import pytest

from inscl.config import kinds
from inscl.config.components import chosen, problems_of
from inscl.config.settings import RunConfig
from inscl.data.refiner_steps import steps_of
from inscl.errors import ConfigError


def named(values: dict) -> set[tuple[str, str, str]]:
    return {(one.kind, one.key, one.name) for one in chosen(values)}


def test_an_empty_configuration_names_its_defaults() -> None:
    assert named({}) == named(RunConfig().model_dump())
    assert ("strategies", "replay.strategy", "inscl") in named({})
    assert ("embedders", "replay.tag_embedder", "minilm") in named({})
    assert ("scorers", "evaluation.metrics.0", "rouge_l") in named({})


def test_every_form_of_naming_is_read() -> None:
    values = {
        "stream": {"refine": ["deduplicate", {"name": "deduplicate", "params": {"threshold": 0.5}}]},
        "model": {"adapter": {"r": 4}},
        "replay": {"strategy": "random", "tag_embedder": None, "tagger": {"name": "llm", "params": {"model": "m"}}},
        "training": {"params": {"epochs": 3}},
        "evaluation": {"metrics": ["exact_match", "answer_loss"]},
    }
    found = {one.key: (one.kind, one.name, dict(one.params), one.heading) for one in chosen(values)}
    assert found["stream.refine.1"] == ("refiners", "deduplicate", {"threshold": 0.5}, "stream.refine.1.params")
    assert found["model.adapter"] == ("adapters", "lora", {"r": 4}, "model.adapter")
    assert found["replay.tagger"] == ("taggers", "llm", {"model": "m"}, "replay.tagger.params")
    assert found["training.learner"] == ("learners", "fine_tune", {"epochs": 3}, "training.params")
    assert found["evaluation.metrics.1"] == ("measures", "answer_loss", {}, "evaluation.metrics.1.params")
    assert "replay.tag_embedder" not in found
    assert {kind for kind, *_ in found.values()} == set(kinds.KINDS)


@pytest.mark.parametrize("values", [{"replay": 3}, {"replay": {"strategy": 3}}, {"replay": {"params": {1: 2}}}])
def test_what_is_malformed_is_left_to_the_model_of_the_configuration(values: dict) -> None:
    assert "replay.strategy" not in {one.key for one in chosen(values)} or values["replay"] == 3


def test_a_learner_inside_another_is_a_component_like_any_other() -> None:
    inside = {"name": "overprompt", "params": {"learner": {"name": "fine_tune", "params": {"epoch": 3}}}}
    values = {"training": {"learner": "overprompt", "params": {"n": 3, "learner": inside}}}
    found = [one for one in chosen(values) if one.kind == "learners"]
    assert [one.name for one in found] == ["overprompt", "overprompt", "fine_tune"]
    (problem,) = (problem for one in found for problem in problems_of(one))
    assert problem.key == "training.params.learner.params.learner.params.epoch"
    assert "'epochs'" in problem.message
    default = {"training": {"learner": "overprompt"}}
    assert [one.name for one in chosen(default) if one.kind == "learners"] == ["overprompt", "fine_tune"]
    malformed = {"training": {"learner": "overprompt", "params": {"learner": {"nme": "fine_tune"}}}}
    assert [problem.key for one in chosen(malformed) for problem in problems_of(one)] == ["training.params.learner"]


def test_values_that_a_component_refuses_are_told_by_their_keys() -> None:
    values = {"model": {"adapter": {"r": -1}}, "replay": {"strategy": "inscl", "params": {"p": "two"}}}
    wrong = {problem.key for one in chosen(values) for problem in problems_of(one)}
    assert "model.adapter.r" in wrong
    assert any(key.startswith("replay.params") for key in wrong)


def test_a_key_that_is_missing_here_is_no_mistake_in_a_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    refine = [{"name": "reflection", "params": {"llm": "m"}}, {"name": "reflection", "params": {"llm": {"modle": "m"}}}]
    wrong = {problem.key for one in chosen({"stream": {"refine": refine}}) for problem in problems_of(one)}
    assert wrong == {"stream.refine.1.params.llm.modle", "stream.refine.1.params.llm.model"}
    with pytest.raises(ConfigError, match=r"stream\.refine\[0\]: the model 'm' needs a key or an address"):
        steps_of(refine[:1])
