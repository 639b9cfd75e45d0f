"""Reading a configuration: every mistake told at once, with its key and the nearest valid one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from inscl.config import kinds, wrapping
from inscl.config.components import Chosen, chosen, problems_of
from inscl.config.confidential import secret_problems
from inscl.config.settings import RunConfig
from inscl.contract.traits import LearnerTraits, MeasureTraits, StrategyTraits, traits_of
from inscl.data.quoting import excerpt
from inscl.data.yaml_values import LARGEST_TEXT, YamlProblem, parse_yaml
from inscl.errors import ConfigError, Problem, nearest

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
    named = {one: problems_of(one) for one in chosen(values)}
    problems += [problem for found in named.values() for problem in found]
    sound = [one for one, found in named.items() if not found]
    problems += _unheeded_replay(sound) + _metric_problems(sound)
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


def _unheeded_replay(sound: Sequence[Chosen]) -> list[Problem]:
    """A strategy whose replay the learner would leave aside."""
    learner, strategy = _learner(sound), next((one.name for one in sound if one.kind == "strategies"), None)
    if learner is None or strategy is None:
        return []
    heeds = traits_of(kinds.load("learners", learner), LearnerTraits).replays
    if heeds or not traits_of(kinds.load("strategies", strategy), StrategyTraits).replays:
        return []
    return [Problem("replay.strategy", f"the learner {learner} takes no replay, but {strategy} replays: use none")]


def _metric_problems(sound: Sequence[Chosen]) -> list[Problem]:
    """Measures that the learner can't be measured by."""
    learner = _learner(sound)
    problems = []
    for one in sound:
        if one.kind != "measures" or learner is None:
            continue
        needs = traits_of(kinds.load("measures", one.name), MeasureTraits).needs
        trait = {"likelihood": "log_likelihoods", "choice": "chooses"}.get(needs)
        if trait and not getattr(traits_of(kinds.load("learners", learner), LearnerTraits), trait):
            said = f"{one.name} needs a learner with the trait {trait}; {learner} has not"
            problems.append(Problem(one.key, said))
    return problems


def _learner(sound: Sequence[Chosen]) -> str | None:
    """The learner that is taught, whatever wraps it; None where it isn't known."""
    last = next((one.name for one in reversed(sound) if one.kind == "learners"), None)
    return None if last is None or wrapping.wraps(last) else last
