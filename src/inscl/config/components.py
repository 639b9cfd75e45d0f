"""The components that a configuration names: which they are, and what is wrong with their names and parameters."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from inscl.config import kinds, wrapping
from inscl.config.kinds import KINDS, Kind
from inscl.config.settings import RunConfig, TrainingConfig
from inscl.contract.traits import traits_of
from inscl.errors import ConfigError, InsclError, Problem, nearest

__all__ = ["Chosen", "chosen", "params_in_full", "problems_of"]

_FILLED_IN = {
    "strategies": (
        *("embedder", "tagger", "tag_embedder", "model", "seed", "losses", "answers", "writers", "encoders"),
        *("new_learner", "small_learner", "name"),
    ),
    "learners": (
        *(set(TrainingConfig.model_fields) - {"learner", "params"}),
        *("model", "adapter", "prompt", "precision", "generation_batch_size", "seed", "progress", "log_dir"),
        *("make_learner", "callbacks"),
    ),
    "taggers": ("progress",),
    "refiners": ("progress",),
}
"""Arguments that inscl fills in itself; a configuration says most of them under headings of their own."""


@dataclass(frozen=True, eq=False)
class Chosen:
    """A component that a configuration names.

    Attributes:
        kind: A name in `inscl.config.kinds.KINDS`.
        key: Where it is named, as in ``replay.strategy``.
        name: Its name.
        params: Its parameters.
        heading: Where they stand, as in ``replay.params``.
    """

    kind: str
    key: str
    name: str
    params: Mapping[str, Any]
    heading: str


def chosen(values: Mapping[str, Any]) -> Iterator[Chosen]:
    """Every component that a configuration names, those that it names by default included.

    Args:
        values: The content of a configuration. What is malformed in it is left out: its model says so.
    """
    defaults = _defaults()
    for kind in KINDS.values():
        for key in kind.keys if kind.name != "measures" else ():  # they stand among the scorers
            default = _at(defaults, key)
            value = _at(values, key, default)
            given = {} if kind.params is None else _at(values, kind.params, {})
            if isinstance(value, list):
                for number, item in enumerate(value):
                    yield from _named(kind, f"{key}.{number}", item, None, given)
            else:
                for one in _named(kind, key, value, default, given):
                    yield from (one, *_wrapped(one))


@lru_cache(maxsize=1)
def _defaults() -> Mapping[str, Any]:
    return RunConfig().model_dump()


def _at(values: Any, key: str, default: Any = None) -> Any:
    for part in key.split("."):
        if not isinstance(values, Mapping) or part not in values:
            return default
        values = values[part]
    return values


def _named(kind: Kind, key: str, value: Any, default: Any, given: Any) -> Iterator[Chosen]:
    """The component at a key, if one is named there."""
    heading = kind.params or (key if kind.beside else f"{key}.params")
    if isinstance(value, Mapping) and kind.beside:
        given = {name: one for name, one in value.items() if name != "kind"}
        value = value.get("kind", default["kind"])
    elif isinstance(value, Mapping):
        value, given = value.get("name"), value.get("params")
    if not isinstance(value, str) or not isinstance(given, Mapping | None):
        return
    if any(not isinstance(name, str) for name in given or ()):
        return
    name = kinds.metric_kind(value) if kind.name == "scorers" else kind.name
    yield Chosen(name, key, value, given or {}, heading)


def _wrapped(one: Chosen) -> Iterator[Chosen]:
    """The learners that a learner wraps, from the outermost; one that is malformed is left out."""
    while one.kind == "learners" and wrapping.wraps(one.name):
        try:
            name, params = wrapping.name_and_params(kinds.in_full("learners", one.name, one.params)["learner"])
        except ConfigError:
            return
        key = f"{one.heading}.learner"
        one = Chosen("learners", key, name, params, f"{key}.params")
        yield one


def params_in_full(one: Chosen) -> dict[str, Any]:
    """A component's parameters with the defaults of its own signature; what inscl fills in itself is left out.

    So is a parameter in the trait `added` that has its default.

    Raises:
        ConfigError: There is no such component, or it can't be used.
    """
    full, filled_in = kinds.in_full(one.kind, one.name, {}), _filled_in(one)
    values = {**{name: value for name, value in full.items() if name not in filled_in}, **one.params}
    traits: Any = traits_of(kinds.load(one.kind, one.name), KINDS[one.kind].traits or object)
    added: tuple[str, ...] = getattr(traits, "added", ())
    return {name: value for name, value in values.items() if name not in added or value != full[name]}


def _filled_in(one: Chosen) -> tuple[str, ...]:
    return (*_FILLED_IN.get(one.kind, ()), *(("model",) if one.name == "model" else ()))


def problems_of(one: Chosen) -> list[Problem]:
    """What is wrong with a name and its parameters, checked against the component itself."""
    metrics = [*kinds.names("scorers"), *kinds.names("measures")]
    if one.kind == "scorers" and one.name not in metrics:
        return [Problem(one.key, f"no metric named {one.name!r}{nearest(one.name, metrics)}")]
    try:
        factory = kinds.load(one.kind, one.name)
    except ConfigError as error:
        return [Problem(one.key, problem.message) for problem in error.problems]
    except InsclError as error:
        return [Problem(one.key, str(error))]
    if one.kind == "scorers":
        return []  # called with an answer, never with parameters
    filled_in = _filled_in(one)
    if one.kind == "learners":
        # A setting that has a heading of its own may stand among the learner's parameters too.
        ours = {part: None for part in filled_in if kinds.accepts(factory, part)}
        found = kinds.parameter_problems(factory, {**ours, **one.params}) + _wrapped_problems(one)
    else:
        found = kinds.parameter_problems(factory, one.params, filled_in)
    if one.kind in ("strategies", "adapters", "objectives", "refiners") and not found:
        found = _refused(factory, one.params)
    return [Problem(f"{one.heading}.{p.key}" if p.key else one.heading, p.message) for p in found]


def _wrapped_problems(one: Chosen) -> list[Problem]:
    """What is wrong with how a learner names the one that it wraps."""
    try:
        if wrapping.wraps(one.name) and "learner" in one.params:
            wrapping.name_and_params(one.params["learner"])
    except ConfigError as error:
        return list(error.problems)
    return []


def _refused(factory: kinds.Factory, params: Mapping[str, Any]) -> list[Problem]:
    """Values that the component itself refuses; nothing where it needs what only a run can give."""
    try:
        inspect.signature(factory).bind(**params)
    except (TypeError, ValueError):
        return []
    try:
        factory(**params)
    except ConfigError as error:
        return list(error.problems)
    except InsclError:
        return []  # what is lacking here and now, such as a key, is told when it is needed: a record reads without it
    except (TypeError, ValueError) as error:
        return [Problem("", f"{getattr(factory, '__name__', factory)} refuses {dict(params)}: {error}")]
    return []
