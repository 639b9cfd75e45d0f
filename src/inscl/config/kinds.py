"""Components of every kind by name, through entry points: ours and everybody else's."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from inscl.errors import ConfigError, Problem, UnknownComponentError, nearest

__all__ = [
    "KINDS",
    "BrokenComponent",
    "accepts",
    "available",
    "broken",
    "create",
    "foreign",
    "in_full",
    "load",
    "metric_kind",
    "names",
    "parameter_problems",
]

_SINGULAR = {
    "strategies": "strategy",
    "learners": "learner",
    "adapters": "adapter",
    "objectives": "objective",
    "refiners": "refiner",
    "embedders": "embedder",
    "taggers": "tagger",
    "scorers": "scorer",
    "measures": "measure",
}
KINDS = tuple(_SINGULAR)

Factory = Callable[..., Any]


@dataclass(frozen=True)
class BrokenComponent:
    """A declared component that can't be imported: which, where it comes from and why."""

    kind: str
    name: str
    package: str
    reason: str


def available(kind: str) -> dict[str, str]:
    """Names of the components of a kind, each with the first line of its docstring (or why it doesn't load)."""
    lines = {}
    for name, entry in sorted(_entries(kind).items()):
        try:
            lines[name] = (inspect.getdoc(entry.load()) or "").split("\n", 1)[0]
        except Exception as error:  # noqa: BLE001 - a plugin may fail in any way at import; listing must go on
            lines[name] = f"broken: {type(error).__name__}: {error}"
    return lines


def names(kind: str) -> list[str]:
    """Names of the components of a kind; nothing is imported."""
    return sorted(_entries(kind))


def broken() -> list[BrokenComponent]:
    """Every declared component that fails to import."""
    found = []
    for kind in KINDS:
        for name, entry in sorted(_entries(kind).items()):
            try:
                entry.load()
            except Exception as error:  # noqa: BLE001 - as above
                package = entry.dist.name if entry.dist else "unknown"
                found.append(BrokenComponent(kind, name, package, f"{type(error).__name__}: {error}"))
    return found


def load(kind: str, name: str) -> Factory:
    """The class or function registered as `name`.

    Raises:
        UnknownComponentError: There is none; the message names the nearest.
        ConfigError: It is declared and can't be imported.
    """
    entries = _entries(kind)
    if name not in entries:
        raise UnknownComponentError(_SINGULAR[kind], name, entries)
    try:
        factory: Factory = entries[name].load()
    except Exception as error:
        package = entries[name].dist
        source = f" of the package {package.name!r}" if package else ""
        raise ConfigError(
            f"the {_SINGULAR[kind]} {name!r}{source} can't be imported ({type(error).__name__}: {error}); "
            "update or uninstall that package"
        ) from error
    return factory


def metric_kind(name: str) -> str:
    """The kind that a name in ``evaluation.metrics`` is of: ``measures``, or else ``scorers``."""
    return "measures" if name in _entries("measures") else "scorers"


def foreign(kind: str, name: str) -> str | None:
    """Distribution and version, as in ``inscl-plugin 1.2``, that a component comes from; None for one of inscl's own.

    None, too, where that isn't known.
    """
    entry = _entries(kind).get(name)
    if entry is None or entry.dist is None or entry.dist.name == "inscl":
        return None
    return f"{entry.dist.name} {entry.dist.version}"


def accepts(factory: Factory, parameter: str) -> bool:
    """Whether `factory` can be called with a keyword of that name."""
    return parameter in _parameters(factory)


def parameter_problems(factory: Factory, params: Mapping[str, Any], injected: tuple[str, ...] = ()) -> list[Problem]:
    """What is wrong with a configuration's parameters, checked against the factory's own signature.

    Args:
        factory: A component's class or function.
        params: Parameters as configured.
        injected: Names that inscl fills in itself and a configuration may not.
    """
    parameters = _parameters(factory)
    if any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values()):
        return []
    known = [name for name in parameters if name not in injected]
    unknown = [Problem(name, f"no such parameter{nearest(name, known)}") for name in params if name not in known]
    missing = [
        Problem(name, "is required")
        for name, p in parameters.items()
        if p.default is inspect.Parameter.empty and name not in params and name not in injected
    ]
    return unknown + missing


def in_full(kind: str, name: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """`params` with every default that the component's signature has: what decides a result, written out.

    What inscl fills in itself has no default that counts; it is left out, as are values that JSON doesn't have.
    """
    plain = (str, int, float, bool, list, tuple, dict)
    parameters = _parameters(load(kind, name)).items()
    found = {key: p.default for key, p in parameters if p.default is None or isinstance(p.default, plain)}
    return {**found, **params}


def create(kind: str, name: str, params: Mapping[str, Any] | None = None, **injected: Any) -> Any:
    """Make a component from its registered name.

    Args:
        kind: One of `KINDS`.
        name: Registered name.
        params: Keyword arguments from a configuration.
        **injected: Arguments passed only if the component's signature has them.

    Raises:
        UnknownComponentError: No component of that name.
        ConfigError: A parameter is unknown, missing or refused; all of them at once.
    """
    factory, given = load(kind, name), dict(params or {})
    fitting = {key: value for key, value in injected.items() if accepts(factory, key) and key not in given}
    where = f"{_SINGULAR[kind]} {name}"
    problems = parameter_problems(factory, given, tuple(fitting))
    if problems:
        raise ConfigError(problems, where)
    return factory(**given, **fitting)


def _entries(kind: str) -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group=f"inscl.{kind}")}


def _parameters(factory: Factory) -> dict[str, inspect.Parameter]:
    try:
        found = inspect.signature(factory).parameters
    except (TypeError, ValueError):
        return {}
    return {n: p for n, p in found.items() if p.kind is not inspect.Parameter.VAR_POSITIONAL}
