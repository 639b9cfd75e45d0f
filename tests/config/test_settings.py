from __future__ import annotations

import inspect
from pathlib import Path

import pytest

from inscl.config.loading import load_config
from inscl.config.settings import RunConfig, TrainingConfig
from inscl.errors import ConfigError
from inscl.learners.fine_tune import FineTune

CONFIGS = Path(__file__).parents[2] / "configs"


def problems(source: object, *overrides: str) -> dict[str, str]:
    with pytest.raises(ConfigError) as caught:
        load_config(source, overrides)  # type: ignore[arg-type]
    return {problem.key: problem.message for problem in caught.value.problems}


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.name)
def test_every_config_loads_and_is_headed_by_its_command(path: Path) -> None:
    assert isinstance(load_config(path), RunConfig)
    assert f"inscl run configs/{path.name}" in path.read_text(encoding="utf-8")


def test_three_mistakes_are_all_told_with_the_nearest_key(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text("strem: {path: x}\ntraining: {epochs: -1}\nreplay: {strategy: inscll, params: {dynamc: true}}\n")
    found = problems(path)
    assert "did you mean 'stream'" in found["strem"]
    assert "greater than 0" in found["training.epochs"]
    assert "did you mean 'inscl'" in found["replay.strategy"]


def test_parameters_are_checked_against_the_strategys_own_signature() -> None:
    found = problems({"replay": {"params": {"dynamc": True, "weights": "heavy"}}})
    assert "did you mean 'dynamic'" in found["replay.params.dynamc"]
    found = problems({"replay": {"params": {"weights": "heavy", "p": 0}}})
    assert "real, uniform" in found["replay.params.weights"]
    assert "at least 1" in found["replay.params.p"]


def test_unknown_metric_embedder_and_tagger() -> None:
    found = problems(
        {"replay": {"embedder": "nope", "tagger": {"name": "keyphrase"}}, "evaluation": {"metrics": ["rouge"]}}
    )
    assert "model" in found["replay.embedder"]
    assert "did you mean 'keyphrases'" in found["replay.tagger"]
    assert "did you mean 'rouge_l'" in found["evaluation.metrics.0"]


def test_exactly_one_budget() -> None:
    assert "exactly one" in problems({"replay": {"budget": {"total": 1, "share": 0.5}}})["replay.budget"]
    assert "exactly one" in problems({"replay": {"budget": {}}})["replay.budget"]


def test_overrides_read_yaml_and_replace_another_kind_of_budget() -> None:
    source = {"replay": {"budget": {"per_task": 3}}}
    config = load_config(source, ["replay.budget.total=7", "training.learning_rate=2e-4", "stream.order=[b, a]"])
    assert config.replay.budget.total == 7
    assert config.replay.budget.per_task is None
    assert config.training.learning_rate == 2e-4
    assert config.stream.order == ["b", "a"]
    assert source == {"replay": {"budget": {"per_task": 3}}}


def test_an_override_that_is_none() -> None:
    assert "key=value" in problems({}, "training.epochs")["training.epochs"]


def test_numbers_with_an_exponent_stay_numbers_in_free_sections(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text("training: {hf_args: {weight_decay: 1e-3}}\n")
    assert load_config(path).training.hf_args == {"weight_decay": 1e-3}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("stream: [", "line 1"),
        ("a: 1\na: 2\n", "twice"),
        ("", "expected keys"),
        ("- x\n", "expected keys"),
        ("stream: !!python/object/apply:os.system [ls]\n", "YAML"),
        ("\x00\x01", "YAML"),
        ("stream: 3\n", "path"),
    ],
)
def test_files_that_are_no_configuration(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=said):
        load_config(path)


def test_a_file_that_isnt_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        load_config(tmp_path / "none.yaml")


def test_longest_answer_by_task() -> None:
    config = load_config({"evaluation": {"max_new_tokens": {"default": 32, "Code": 96}}})
    assert config.evaluation.longest_answer("Code") == 96
    assert config.evaluation.longest_answer("other") == 32


@pytest.mark.parametrize("given", [0, {"Code": 0}, {"default": -1}])
def test_an_answer_has_room_for_a_token(given: object) -> None:
    with pytest.raises(ConfigError, match=r"evaluation\.max_new_tokens: .*must be at least 1"):
        load_config({"evaluation": {"max_new_tokens": given}})


def test_options_are_a_word_or_a_list() -> None:
    for options in ("found", "none", ["red", "blue"]):
        assert load_config({"stream": {"options": options}}).stream.options == options
    for options, said in (
        ([True, False], "put options in quotes"),
        (["red"], "one option only"),
        ("all", "found, given, none"),
    ):
        with pytest.raises(ConfigError, match=rf"stream\.options.*{said}"):
            load_config({"stream": {"options": options}})


def test_the_defaults_are_those_of_the_learner() -> None:
    theirs = inspect.signature(FineTune).parameters
    ours = {key: field.default for key, field in TrainingConfig.model_fields.items() if key in theirs}
    del ours["hf_args"]  # an empty mapping here, None there
    assert ours == {key: theirs[key].default for key in ours}
