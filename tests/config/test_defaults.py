"""A default that the configuration and a function of Python both have is the same in both."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from inscl.config import kinds
from inscl.config.settings import EvaluationConfig, RunConfig
from inscl.contract.seams import Learner
from inscl.data import load_stream
from inscl.data.stream_settings import StreamSettings
from inscl.evaluation.evaluate import evaluate
from inscl.planning.plan import plan_replay

DEFAULTS = RunConfig()
TRAINED = {
    **DEFAULTS.training.model_dump(exclude={"learner", "params"}),
    **DEFAULTS.model.model_dump(include={"adapter", "prompt", "precision"}),
    "model": DEFAULTS.model.name,
    "generation_batch_size": DEFAULTS.evaluation.batch_size,
    "seed": DEFAULTS.seed,
}
STREAM = {**DEFAULTS.stream.model_dump(exclude={"path"}), "seed": DEFAULTS.seed}
REPLAY = {**DEFAULTS.replay.model_dump(), "model": DEFAULTS.model.name, "seed": DEFAULTS.seed}
ANSWERS = {"max_new_tokens": DEFAULTS.evaluation.max_new_tokens}


def both(factory: Callable[..., Any], settings: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Name -> defaults of the signature and of the configuration, of what has one in both."""
    found = {name: p.default for name, p in inspect.signature(factory).parameters.items()}
    return {
        name: (plain(name, default), plain(name, settings[name]))
        for name, default in found.items()
        if name in settings and default is not inspect.Parameter.empty
    }


def plain(name: str, value: Any) -> Any:
    """A default in one notation, for those that Python and YAML write in two."""
    if name == "adapter":
        return kinds.in_full("adapters", value["kind"], {key: one for key, one in value.items() if key != "kind"})
    if name == "budget":
        return (
            {"per_task": value} if isinstance(value, int) else {k: one for k, one in value.items() if one is not None}
        )
    if isinstance(value, Sequence) and not isinstance(value, str):
        value = list(value)
    return value or None if isinstance(value, Mapping | list) else value


CASES = [
    *((f"learner {name}", kinds.load("learners", name), TRAINED) for name in kinds.names("learners")),
    *(
        (f"{kind} {name}", kinds.load(kind, name), REPLAY)
        for kind in ("strategies", "embedders")
        for name in kinds.names(kind)
    ),
    ("load_stream", load_stream, STREAM),
    ("StreamSettings", StreamSettings, STREAM),
    ("plan_replay", plan_replay, REPLAY),
    ("Learner.answer", Learner.answer, ANSWERS),
    ("evaluate", evaluate, ANSWERS),
    *((f"answer of {name}", kinds.load("learners", name).answer, ANSWERS) for name in kinds.names("learners")),
]
PARTS = {"embedder", "tagger", "tag_embedder"}  # a strategy takes the components themselves, and none by default


@pytest.mark.parametrize(("title", "factory", "settings"), CASES, ids=[title for title, _, _ in CASES])
def test_python_and_configuration_have_the_same_defaults(
    title: str, factory: Callable[..., Any], settings: Mapping[str, Any]
) -> None:
    skipped = PARTS if title.startswith("strategies") else set()
    unlike = {
        name: pair for name, pair in both(factory, settings).items() if pair[0] != pair[1] and name not in skipped
    }
    assert unlike == {}


def test_most_defaults_of_a_learner_and_of_a_stream_are_compared() -> None:
    assert set(both(kinds.load("learners", "fine_tune"), TRAINED)) == set(TRAINED)
    assert set(both(load_stream, STREAM)) == set(STREAM)
    assert set(both(plan_replay, REPLAY)) == set(REPLAY)


def test_tasks_that_a_mapping_leaves_out_answer_as_long_as_without_one() -> None:
    assert EvaluationConfig(max_new_tokens={"one": 5}).longest_answer("another") == EvaluationConfig().longest_answer(
        "x"
    )
