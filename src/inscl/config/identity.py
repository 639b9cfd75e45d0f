"""What decides a result: the one answer for runs, grids, shared scores and workspaces.

Whatever is compared, reused or resumed is known by the values that stand here, written out in full. A default that
changes in a later version changes them too, so results made with the former default are never taken for new ones.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from inscl.config import kinds
from inscl.config.components import Chosen, chosen, params_in_full
from inscl.config.kinds import KINDS
from inscl.config.settings import RunConfig

__all__ = ["deciding_settings", "digest_of", "key_of", "plugins_of", "recorded_settings", "scores_key"]

_INDIFFERENT: Mapping[str, tuple[str, ...]] = {
    "": ("output_dir", "label"),
    "model": ("keep",),
    "training": ("save_every",),
    "evaluation": ("base", "experts", "batch_size"),
}
"""Settings by section that change no result: where files go, what is kept, how much is computed at once."""

_OPTIONAL = ("test_examples", "judge", "endpoint")
"""Settings of evaluation that count where they are given."""

_PRICES = ("price_per_million_input", "price_per_million_output")
_ASKING = frozenset(("base_url", "concurrency", "max_retries", "timeout", "api_key_env", "cache", *_PRICES))
"""Fields of a language model that is asked which change no answer: where it is, and how it is asked and paid."""

_TRAINING_ALONE = ("epochs", "learning_rate", "batch_size", "batching", "objective", "hf_args")
"""Settings of training that an untrained model never meets."""


def deciding_settings(config: RunConfig) -> dict[str, Any]:
    """The part of a configuration that decides a run's results; runs that share it and their data are the same run."""
    values = config.model_dump(mode="json")
    for section, keys in _INDIFFERENT.items():
        for key in keys:
            del (values[section] if section else values)[key]
    evaluation = values["evaluation"]
    for key in _OPTIONAL:
        # All test examples are what the data decides, and nobody else is asked: nothing that decides anything.
        if evaluation[key] is None:
            del evaluation[key]
    if isinstance(judge := evaluation.get("judge"), str):
        evaluation["judge"] = {"model": judge}
    elif judge is not None:
        evaluation["judge"] = _without_asking(judge)
    if endpoint := evaluation.get("endpoint"):
        named = endpoint["llm"]
        endpoint["llm"] = {"model": named} if isinstance(named, str) else _without_asking(named)
    _write_defaults_out(values)
    return values


def _write_defaults_out(values: dict[str, Any]) -> None:
    """Put the parameters of every component in full into settings: the defaults of its signature decide results too."""
    for one in list(chosen(values)):
        # An adapter stands in full in every configuration; scorers and measures take no parameters.
        if one.kind in ("adapters", "scorers", "measures") or not (full := params_in_full(one)):
            continue
        if one.kind in ("refiners", "strategies", "taggers", "learners"):
            full = {name: _without_asking(value) for name, value in full.items()}
        place, name = (one.heading, None) if KINDS[one.kind].params == one.heading else (one.key, one.name)
        *path, last = [int(part) if part.isdigit() else part for part in place.split(".")]
        section: Any = values
        for part in path:
            section = section[part]
        section[last] = full if name is None else {"name": name, "params": full}


def _without_asking(value: Any) -> Any:
    """A parameter that names a language model, without what changes none of its answers; others as they are."""
    if not isinstance(value, Mapping) or "model" not in value:
        return value
    return {name: one for name, one in value.items() if name not in _ASKING}


def recorded_settings(config: RunConfig) -> dict[str, Any]:
    """The same for a cell of a grid, whose record holds the base model's row and the experts only where asked for."""
    values = deciding_settings(config)
    asked = {"base": config.evaluation.base, "experts": config.evaluation.experts}
    return {**values, "evaluation": {**values["evaluation"], **asked}}


def key_of(settings: Mapping[str, Any], stream: str, model: str, plugins: Mapping[str, str]) -> str:
    """The key of a result, 32 hex digits.

    Paths and names differ from machine to machine, so the data and the model count by what they hold.

    Args:
        settings: As `recorded_settings` gives them.
        stream: The stream's fingerprint.
        model: The model's fingerprint.
        plugins: As `plugins_of` gives them.
    """
    values = {section: value for section, value in settings.items() if section != "stream"}
    values["model"] = {key: value for key, value in settings["model"].items() if key != "name"}
    return digest_of({"schema": 2, "settings": values, "stream": stream, "model": model, "plugins": dict(plugins)})


def scores_key(kind: str, config: RunConfig, task: str, model: str, longest: int) -> str:
    """The key of scores that runs share, 32 hex digits; they depend on no strategy, order or budget.

    Args:
        kind: ``expert``, a model that was taught one task, or ``base``, the model as it came.
        config: The run's configuration.
        task: The task's fingerprint.
        model: The model's fingerprint.
        longest: Longest answer on that task, tokens.
    """
    values = deciding_settings(config)
    learning, training = values["model"], values["training"]
    seed = values["seed"]
    del learning["name"]
    if kind == "base":
        del learning["adapter"]
        training = {key: value for key, value in training.items() if key not in _TRAINING_ALONE}
        seed = None
    plugins = {name: version for name, version in plugins_of(config).items() if name.startswith(_TEACHING)}
    return digest_of(
        {
            "kind": kind,
            "task": task,
            "model": [model, learning],
            "training": training,
            "metrics": config.evaluation.metrics,
            "max_new_tokens": longest,
            **{key: values["evaluation"][key] for key in _OPTIONAL if key in values["evaluation"]},
            "seed": seed,
            "plugins": plugins,
        }
    )


_TEACHING = ("learners/", "adapters/", "objectives/", "scorers/", "measures/")

_PARTS: Mapping[str, str] = {"embedder": "embedders", "score": "scorers"}
"""Parameters by which learners name components of other kinds."""


def plugins_of(config: RunConfig) -> dict[str, str]:
    """Component -> distribution and version, for what other packages bring: their code decides the result too."""
    components = list(chosen(config.model_dump()))
    named = [(f"{one.kind}/{one.name}", one.kind, one.name) for one in components]
    named += [part for one in components for part in _parts_of(one)]
    return {key: source for key, kind, name in named if (source := kinds.foreign(kind, name))}


def _parts_of(one: Chosen) -> Iterator[tuple[str, str, str]]:
    """Components that a learner's parameters name: key, kind, name."""
    for parameter, kind in _PARTS.items() if one.kind == "learners" else ():
        value = one.params.get(parameter)
        name = value.get("name") if isinstance(value, Mapping) else value
        if isinstance(name, str):
            yield f"{one.kind}/{one.name}/{kind}/{name}", kind, name


def digest_of(content: Any) -> str:
    """SHA-256 of a JSON value, its first 32 hex digits; the order of keys doesn't count, nor whether 2 is 2.0."""
    return hashlib.sha256(json.dumps(_numbers_alike(content), sort_keys=True).encode()).hexdigest()[:32]


def _numbers_alike(value: Any) -> Any:
    """The same value with whole numbers as integers, however they were written."""
    if isinstance(value, Mapping):
        return {key: _numbers_alike(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_numbers_alike(one) for one in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
