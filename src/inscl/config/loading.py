"""Reading a configuration: every mistake told at once, with its key and the nearest valid one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from inscl.config import kinds
from inscl.config.confidential import secret_problems
from inscl.config.settings import RunConfig, TrainingConfig
from inscl.contract.traits import LearnerTraits, MeasureTraits, StrategyTraits, traits_of
from inscl.data.quoting import excerpt
from inscl.data.yaml_values import LARGEST_TEXT, YamlProblem, parse_yaml
from inscl.errors import ConfigError, InsclError, Problem, nearest

__all__ = ["load_config", "parameters", "read_yaml"]


def load_config(source: RunConfig | Mapping[str, Any] | str | Path, overrides: Sequence[str] = ()) -> RunConfig:
    """Read and check a configuration.

    Args:
        source: A YAML file, a run's folder, a mapping of its content, or a configuration as it is.
        overrides: Changes as in ``training.epochs=3``; the value is read as YAML.

    Raises:
        ConfigError: Everything that is wrong: unknown keys with the nearest valid one, values out of range, unknown
            strategies and metrics, parameters that the strategy doesn't have.
    """
    if isinstance(source, RunConfig):
        values, where = source.model_dump(mode="json"), "configuration"
    elif isinstance(source, Mapping):
        values, where = dict(source), "configuration"
    else:
        file = Path(source) / "inscl.yaml" if Path(source).is_dir() else Path(source)
        values, where = read_yaml(file), str(file)
        if (file.parent / "workspace.json").exists():
            # Wherever a workspace was moved to, that is where it is.
            values["output_dir"] = str(file.parent.resolve())
    problems = [problem for override in overrides if (problem := _override(values, override))]
    problems += secret_problems(values)
    config = None
    try:
        config = RunConfig.model_validate(values)
    except ValidationError as error:
        problems += [_translate(detail) for detail in error.errors()]
    problems += _component_problems(values)
    if problems or config is None:
        raise ConfigError(problems, where)
    return config


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file, read safely.

    Raises:
        ConfigError: No such file, not YAML, a key that stands twice, or no mapping.
    """
    try:
        with path.open("rb") as file:  # no more than can be used, whatever stands there
            values = parse_yaml(file.read(4 * LARGEST_TEXT).decode("utf-8-sig"))
    except OSError as error:
        raise ConfigError(f"can't read it ({error.strerror}); give the path of a YAML file", str(path)) from error
    except ValueError as error:
        line = getattr(error, "line", None)
        place = f", line {line}" if line else ""
        raise ConfigError(f"not valid YAML{place}: {error}", str(path)) from error
    if not isinstance(values, dict):
        raise ConfigError("expected keys such as `stream:` and `replay:`; found none", str(path))
    return values


def parameters(overrides: Sequence[str]) -> dict[str, Any]:
    """Parameters of a component that were given as ``key=value``; the values are read as YAML.

    Raises:
        ConfigError: Some don't read so; all are told at once.
    """
    values: dict[str, Any] = {}
    if problems := [problem for override in overrides if (problem := _override(values, override))]:
        raise ConfigError(problems, "--set")
    return values


def _override(values: dict[str, Any], text: str) -> Problem | None:
    key, equals, raw = text.partition("=")
    if not equals or not key:
        return Problem(text, "an override reads key=value, as in training.epochs=3")
    try:
        value = parse_yaml(raw)
    except YamlProblem as problem:
        return Problem(key, f"the value {excerpt(raw)} is not valid YAML: {problem}")
    *parents, last = key.split(".")
    section = values
    for parent in parents:
        inner = section.get(parent)
        # A copy, so that the caller's mapping stays as it was.
        section[parent] = dict(inner) if isinstance(inner, Mapping) else {}
        section = section[parent]
    if parents[-1:] == ["budget"] or (parents[-1:] == ["adapter"] and last == "kind" and section.get(last) != value):
        # Only one kind of budget may be set, so naming another replaces it; another adapter has other parameters.
        section.clear()
    section[last] = value
    return None


def _translate(detail: Any) -> Problem:
    """One of pydantic's complaints in our words, with the nearest valid key for an unknown one."""
    path = [
        excerpt(str(part))[1:-1]
        for part in detail["loc"]
        if str(part) not in ("str", "ComponentConfig", "int", "list[any]")
    ]
    key = ".".join(path)
    if detail["type"] == "extra_forbidden":
        return Problem(key, f"no such key{nearest(path[-1], _fields_at(path[:-1]))}")
    if detail["type"] == "missing":
        return Problem(key, "is required")
    if detail["type"] in ("model_type", "model_attributes_type", "dict_type"):
        return Problem(key, f"must hold keys of its own: {', '.join(_fields_at(path)) or 'name: value'}")
    message = detail["msg"].removeprefix("Value error, ")
    shown = repr(detail["input"])
    return Problem(key, f"{message[0].lower()}{message[1:]}" + (f", got {shown}" if len(shown) < 80 else ""))


def _fields_at(path: Sequence[str]) -> list[str]:
    model: Any = RunConfig
    for part in path:
        field = getattr(model, "model_fields", {}).get(part)
        if field is None:
            return []
        options = [field.annotation, *getattr(field.annotation, "__args__", ())]
        model = next((o for o in options if isinstance(o, type) and issubclass(o, BaseModel)), None)
    return list(getattr(model, "model_fields", {}))


# What inscl fills in itself: a configuration says these under their own headings.
_INJECTED = {
    "strategies": ("embedder", "tagger", "tag_embedder", "model", "seed", "losses", "name"),
    "learners": (
        *(set(TrainingConfig.model_fields) - {"learner", "params"}),
        *("model", "adapter", "prompt", "precision", "generation_batch_size", "seed", "progress", "log_dir"),
    ),
}
_HEADINGS = {
    "replay.strategy": "replay.params",
    "training.learner": "training.params",
    "model.adapter": "model.adapter",
}


def _component_problems(values: Mapping[str, Any]) -> list[Problem]:
    """Unknown names and parameters, checked against the components themselves; malformed sections are left aside."""
    replay, evaluation, training, model = (
        section if isinstance(section := values.get(key), Mapping) else {}
        for key in ("replay", "evaluation", "training", "model")
    )
    problems = _check_component("strategies", "replay.strategy", replay.get("strategy", "inscl"), replay.get("params"))
    learner = training.get("learner", "fine_tune")
    problems += _check_component("learners", "training.learner", learner, training.get("params"))
    problems += _unheeded_replay(learner, replay.get("strategy", "inscl")) if not problems else []
    adapter = model.get("adapter", {})
    if isinstance(adapter, Mapping):
        own = {key: value for key, value in adapter.items() if key != "kind"}
        problems += _check_component("adapters", "model.adapter", adapter.get("kind", "lora"), own)
    for section, key, kind, default in (
        (training, "training.objective", "objectives", "answer"),
        (replay, "replay.embedder", "embedders", "model"),
        (replay, "replay.tagger", "taggers", "keyphrases"),
        (replay, "replay.tag_embedder", "embedders", "minilm"),
    ):
        given = section.get(key.partition(".")[2], default)
        if isinstance(given, Mapping):
            problems += _check_component(kind, key, given.get("name"), given.get("params"))
        else:
            problems += _check_component(kind, key, given, None)
    stream = values.get("stream")
    steps = stream.get("refine") if isinstance(stream, Mapping) else None
    for number, step in enumerate(steps if isinstance(steps, list) else []):
        name, params = (step.get("name"), step.get("params")) if isinstance(step, Mapping) else (step, None)
        problems += _check_component("refiners", f"stream.refine.{number}", name, params)
    metrics = evaluation.get("metrics", [])
    problems += _metric_problems(metrics if isinstance(metrics, list) else [], learner)
    return problems


def _unheeded_replay(learner: Any, strategy: Any) -> list[Problem]:
    """A strategy whose replay the learner would leave aside; both are registered."""
    if not (isinstance(learner, str) and isinstance(strategy, str)):
        return []
    heeds = traits_of(kinds.load("learners", learner), LearnerTraits).replays
    if heeds or not traits_of(kinds.load("strategies", strategy), StrategyTraits).replays:
        return []
    return [Problem("replay.strategy", f"the learner {learner} takes no replay, but {strategy} replays: use none")]


def _metric_problems(metrics: list[Any], learner: Any) -> list[Problem]:
    """Metrics that are unknown, or that the learner can't be measured by."""
    key, problems, known = "evaluation.metrics", [], [*kinds.names("scorers"), *kinds.names("measures")]
    for metric in metrics:
        if isinstance(metric, str) and metric not in known:
            problems.append(Problem(key, f"no metric named {metric!r}{nearest(metric, known)}"))
            continue
        kind = kinds.metric_kind(metric) if isinstance(metric, str) else "scorers"
        found = _check_component(kind, key, metric, None)
        problems += found
        if kind == "scorers" or found:
            continue
        traits = traits_of(kinds.load(kind, metric), MeasureTraits)
        trait = {"likelihood": "log_likelihoods", "choice": "chooses"}.get(traits.needs)
        if trait and isinstance(learner, str) and not _check_component("learners", key, learner, None):
            can = traits_of(kinds.load("learners", learner), LearnerTraits)
            if not getattr(can, trait):
                problems.append(Problem(key, f"{metric} needs a learner with the trait {trait}; {learner} has not"))
    return problems


def _check_component(kind: str, key: str, name: Any, params: Any) -> list[Problem]:
    if not isinstance(name, str):
        return []
    try:
        factory = kinds.load(kind, name)
    except ConfigError as error:
        return [Problem(key, problem.message) for problem in error.problems]
    except InsclError as error:
        return [Problem(key, str(error))]
    if kind in ("scorers", "measures") or not isinstance(params, Mapping | None):
        return []
    if any(not isinstance(key, str) for key in params or ()):
        return []  # the model of the configuration says so itself
    params = params or {}
    heading = _HEADINGS.get(key, f"{key}.params")
    given_by_us = (*_INJECTED.get(kind, ()), *(("model",) if name == "model" else ()))
    if kind == "learners":
        # A setting that has a heading of its own may stand among the learner's parameters too.
        ours = {part: None for part in given_by_us if kinds.accepts(factory, part)}
        return [Problem(f"{heading}.{p.key}", p.message) for p in kinds.parameter_problems(factory, {**ours, **params})]
    found = kinds.parameter_problems(factory, params, given_by_us)
    if kind in ("strategies", "adapters", "objectives", "refiners") and not found:
        try:
            factory(**params)
        except ConfigError as error:
            found = list(error.problems)
        except TypeError:
            # It needs something that only a run can give; the run will check it.
            found = []
    return [Problem(f"{heading}.{p.key}", p.message) for p in found]
