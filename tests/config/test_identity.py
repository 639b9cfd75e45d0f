from __future__ import annotations

import json
from dataclasses import fields
from typing import Any

import pytest

from inscl.config import identity, kinds
from inscl.config.identity import deciding_settings, digest_of, key_of, plugins_of, recorded_settings, scores_key
from inscl.config.loading import load_config
from inscl.config.settings import RunConfig, TrainingConfig
from inscl.llm.settings import LLMSettings


def key(config: RunConfig, stream: str = "s", model: str = "m") -> str:
    return key_of(recorded_settings(config), stream, model, plugins_of(config))


def shared(config: RunConfig, kind: str = "expert") -> str:
    return scores_key(kind, config, "t", "m", 64)


def test_what_changes_no_result_is_left_out() -> None:
    settings: dict[str, Any] = {
        "output_dir": "x",
        "label": "l",
        "model": {"keep": "all"},
        "training": {"save_every": 0},
        "evaluation": {"batch_size": 4},
    }
    assert deciding_settings(load_config(settings)) == deciding_settings(load_config({}))
    assert key(load_config(settings)) == key(load_config({}))
    assert shared(load_config(settings)) == shared(load_config({}))


@pytest.mark.parametrize(
    "settings",
    [{"seed": 1}, {"training": {"epochs": 7}}, {"model": {"prompt": "plain"}}, {"replay": {"params": {"dynamic": 0}}}],
)
def test_whatever_else_is_set_decides(settings: dict[str, Any]) -> None:
    assert key(load_config(settings)) != key(load_config({}))


def test_where_and_how_a_refiner_asks_its_models_decides_nothing() -> None:
    def refined(**more: Any) -> dict[str, Any]:
        llm = {"model": "m", "base_url": "http://localhost:1/v1", **more}
        models = {"llm": llm, "target": {**llm, "model": "t"}}
        return deciding_settings(load_config({"stream": {"refine": [{"name": "codec", "params": models}]}}))

    elsewhere = {"base_url": "http://localhost:2/v1", "concurrency": 9, "max_retries": 1, "timeout": 5, "cache": "x"}
    prices = {"price_per_million_input": 1, "price_per_million_output": 2}
    assert refined(**elsewhere, **prices, api_key_env="OTHER") == refined()
    assert refined(request={"seed": 1}) != refined()
    assert refined(model="other") != refined()
    assert {field.name for field in fields(LLMSettings)} == identity._ASKING | {"model", "request"}


def test_where_and_how_a_strategy_asks_a_model_decides_nothing() -> None:
    def written(**more: Any) -> dict[str, Any]:
        params = {"writer": {"model": "m", "base_url": "http://localhost:1/v1", **more}}
        return deciding_settings(load_config({"replay": {"strategy": "pseudo", "params": params}}))

    assert written(base_url="http://localhost:2/v1", concurrency=9) == written()
    assert written(model="other") != written()


def test_data_and_model_count_by_content_and_not_by_name() -> None:
    here = load_config({"stream": {"path": "a"}, "model": {"name": "m"}})
    there = load_config({"stream": {"path": "b"}, "model": {"name": "n"}})
    assert key(here) == key(there)
    assert len({key(here), key(here, stream="other"), key(here, model="other")}) == 3


def test_a_record_that_lacks_experts_is_not_taken_for_one_that_has_them() -> None:
    assert key(load_config({"evaluation": {"experts": True}})) != key(load_config({}))
    assert deciding_settings(load_config({"evaluation": {"experts": True}})) == deciding_settings(load_config({}))


def test_a_changed_default_changes_every_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a later version would have it: the user's file stays the same, and the run it describes doesn't."""
    before = load_config({"seed": 1})

    class Later(TrainingConfig):
        epochs: float = 3

    later = before.model_copy(update={"training": Later()})
    assert before.training.epochs != 3
    assert key(later) != key(before)
    assert shared(later) != shared(before)


def test_a_parameter_that_was_added_later_counts_once_it_is_used() -> None:
    """The results that were recorded before there was one are still found."""
    before = load_config({"replay": {"strategy": "inscl"}})
    off, on = (load_config({"replay": {"strategy": "inscl", "params": {"coverage": used}}}) for used in (False, True))
    assert "coverage" not in deciding_settings(before)["replay"]["params"]
    assert not {"summarise", "summary_size"} & set(deciding_settings(before)["replay"]["params"])
    assert "merge_eps" in deciding_settings(before)["replay"]["params"]
    assert key(before) == key(off) != key(on)


def test_another_version_of_a_plugin_changes_every_key(monkeypatch: pytest.MonkeyPatch) -> None:
    config, found = load_config({}), set()
    for version in ("1", "2"):
        monkeypatch.setattr(
            kinds, "foreign", lambda kind, name, v=version: f"theirs {v}" if kind == "learners" else None
        )
        assert identity.plugins_of(config) == {"learners/fine_tune": f"theirs {version}"}
        found |= {key(config), shared(config), shared(config, "base")}
    assert len(found) == 6


@pytest.mark.parametrize("embedder", ["theirs", {"name": "theirs", "params": {"size": 2}}])
def test_another_version_of_an_embedder_s_package_that_a_learner_names_changes_every_key(
    monkeypatch: pytest.MonkeyPatch, embedder: Any
) -> None:
    config, found = load_config({"training": {"learner": "icl", "params": {"embedder": embedder}}}), set()
    for version in ("1", "2"):
        monkeypatch.setattr(kinds, "foreign", lambda kind, name, v=version: f"theirs {v}" if name == "theirs" else None)
        assert identity.plugins_of(config) == {"learners/icl/embedders/theirs": f"theirs {version}"}
        found |= {key(config), shared(config), shared(config, "base")}
    assert len(found) == 6


def test_another_version_of_a_refiner_s_package_changes_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = key(load_config({}))
    refine = ["deduplicate", {"name": "deduplicate", "params": {"threshold": 0.5}}]
    config, found = load_config({"stream": {"refine": refine}}), set()
    for version in ("1", "2"):
        monkeypatch.setattr(kinds, "foreign", lambda kind, name, v=version: f"t {v}" if kind == "refiners" else None)
        assert identity.plugins_of(config) == {"refiners/deduplicate": f"t {version}"}
        assert key(load_config({})) == plain
        found.add(key(config))
    assert len(found) == 2


def test_experts_share_scores_across_strategies_and_the_base_model_across_training() -> None:
    other = load_config({"replay": {"strategy": "none"}})
    assert shared(other) == shared(load_config({}))
    trained = load_config({"training": {"epochs": 5}, "seed": 1, "model": {"adapter": {"r": 2}}})
    assert shared(trained, "base") == shared(load_config({}), "base")
    assert shared(trained) != shared(load_config({}))
    assert shared(load_config({"training": {"max_length": 99}}), "base") != shared(load_config({}), "base")


def test_a_key_is_derived_from_what_a_record_says() -> None:
    config = load_config({"seed": 2})
    record = json.loads(json.dumps({"config": recorded_settings(config), "plugins": {}}))
    assert key_of(record["config"], "s", "m", record["plugins"]) == key(config)


def test_a_whole_number_is_the_same_however_it_is_written() -> None:
    written = [{"model": {"adapter": {"kind": "lora", "alpha": alpha}}} for alpha in (32, 32.0)]
    first, second = (digest_of(deciding_settings(load_config(one))) for one in written)
    assert first == second
    assert digest_of({"a": 1}) != digest_of({"a": 1.5})


# Refiners are not among these: they are known by what they make, the fingerprint of the refined stream.
@pytest.mark.parametrize(
    ("kind", "name", "settings"),
    [
        ("strategies", "inscl", {"replay": {"strategy": "inscl"}}),
        ("embedders", "ngrams", {"replay": {"embedder": "ngrams"}}),
        ("taggers", "keyphrases", {"replay": {"tagger": "keyphrases"}}),
        ("learners", "overprompt", {"training": {"learner": "overprompt"}}),
    ],
)
def test_a_changed_default_of_a_component_changes_the_key(
    kind: str, name: str, settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    before, in_full = key(load_config(settings)), kinds.in_full
    assert key(load_config({**recorded_settings(load_config(settings)), "output_dir": "x"})) == before

    def later(kind_asked: str, name_asked: str, params: Any) -> dict[str, Any]:
        found = in_full(kind_asked, name_asked, params)
        changed = next((one for one in found if one != "learner" and found[one] is not None), "")
        return {**found, changed: 12345} if (kind_asked, name_asked) == (kind, name) and not params else found

    monkeypatch.setattr(kinds, "in_full", later)
    assert key(load_config(settings)) != before
