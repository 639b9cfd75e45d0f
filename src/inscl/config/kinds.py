"""Components of every kind by name, through entry points: ours and everybody else's."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint
from typing import Any

from inscl.config.declared import entry_points
from inscl.contract import seams
from inscl.contract.objective import Objective
from inscl.contract.traits import (
    LearnerTraits,
    MeasureTraits,
    ObjectiveTraits,
    RefinerTraits,
    ScorerTraits,
    StrategyTraits,
    TaggerTraits,
    traits_of,
)
from inscl.errors import ConfigError, Problem, UnknownComponentError, nearest

__all__ = [
    "KINDS",
    "BrokenComponent",
    "Kind",
    "accepts",
    "asks_learner",
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


@dataclass(frozen=True)
class Kind:
    """One kind of component.

    Attributes:
        name: In the plural, as in ``inscl list NAME``; its entry points stand in the group ``inscl.NAME``.
        singular: What messages call one.
        protocol: What one must be able to do.
        traits: What one may declare of itself; None where there is nothing to declare.
        keys: Where a configuration names one or several of them.
        params: Where its parameters stand; None for ``params`` of a mapping ``{name: ..., params: {...}}`` at the key.
        beside: Whether its name is called ``kind`` and the parameters stand beside it, as an adapter's do.
    """

    name: str
    singular: str
    protocol: type
    traits: type | None
    keys: tuple[str, ...]
    params: str | None = None
    beside: bool = False

    @property
    def group(self) -> str:
        """The group of its entry points."""
        return f"inscl.{self.name}"


_TABLE = (
    Kind("strategies", "strategy", seams.ReplayStrategy, StrategyTraits, ("replay.strategy",), "replay.params"),
    Kind("learners", "learner", seams.Learner, LearnerTraits, ("training.learner",), "training.params"),
    Kind("adapters", "adapter", seams.Adapter, None, ("model.adapter",), beside=True),
    Kind("objectives", "objective", Objective, ObjectiveTraits, ("training.objective",)),
    Kind("refiners", "refiner", seams.Refiner, RefinerTraits, ("stream.refine",)),
    Kind("embedders", "embedder", seams.Embedder, None, ("replay.embedder", "replay.tag_embedder")),
    Kind("taggers", "tagger", seams.Tagger, TaggerTraits, ("replay.tagger",)),
    Kind("scorers", "scorer", seams.Scorer, ScorerTraits, ("evaluation.metrics",)),
    Kind("measures", "measure", seams.Measure, MeasureTraits, ("evaluation.metrics",)),
)
KINDS = {kind.name: kind for kind in _TABLE}
"""Every kind of component by its name: the one table that configurations, listings, checks and docs read."""

Factory = Callable[..., Any]


@dataclass(frozen=True)
class BrokenComponent:
    """A declared component that can't be used: which, where it comes from and why."""

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
    """Every declared component that fails to import, declares wrong traits, or takes keywords nobody can check."""
    found = []
    for kind in KINDS:
        for name, entry in sorted(_entries(kind).items()):
            try:
                factory = entry.load()
                reason = _misdeclared(KINDS[kind], factory) or _unchecked(factory)
            except Exception as error:  # noqa: BLE001 - as above
                reason = f"{type(error).__name__}: {error}"
            if reason:
                found.append(BrokenComponent(kind, name, entry.dist.name if entry.dist else "unknown", reason))
    return found


def load(kind: str, name: str) -> Factory:
    """The class or function registered as `name`.

    Raises:
        UnknownComponentError: There is none; the message names the nearest.
        ConfigError: It is declared and can't be imported, or its traits are those of another kind.
    """
    entries = _entries(kind)
    if name not in entries:
        raise UnknownComponentError(KINDS[kind].singular, name, entries)
    try:
        factory: Factory = entries[name].load()
    except Exception as error:
        package = entries[name].dist
        source = f" of the package {package.name!r}" if package else ""
        raise ConfigError(
            f"the {KINDS[kind].singular} {name!r}{source} can't be imported ({type(error).__name__}: {error}); "
            "update or uninstall that package"
        ) from error
    if reason := _misdeclared(KINDS[kind], factory):
        raise ConfigError(f"the {KINDS[kind].singular} {name!r} can't be used: {reason}")
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
    """Whether `factory` names a parameter so."""
    return parameter in _parameters(factory)


def asks_learner(strategy: str) -> bool:
    """Whether a strategy asks the learner as it is, so that its plan needs the model of the stage before."""
    factory = load("strategies", strategy)
    return accepts(factory, "losses") or accepts(factory, "answers")


def parameter_problems(factory: Factory, params: Mapping[str, Any], injected: tuple[str, ...] = ()) -> list[Problem]:
    """What is wrong with a configuration's parameters, checked against the factory's own signature.

    Args:
        factory: A component's class or function; one that `functools.wraps` another is checked against that one. If it
            takes any keyword (``**more``), its attribute ``more_parameters``, a function without arguments, must return
            the names that are allowed.
        params: Parameters as configured.
        injected: Names that inscl fills in itself and a configuration may not.
    """
    if reason := _unchecked(factory):
        return [Problem("", reason)]
    parameters = _parameters(factory)
    known = [name for name in parameters if name not in injected]
    # Asking for more may import a large library.
    more = _more(factory) if set(params) - set(known) else []
    strange = [name for name in params if name not in known and name not in more]
    unknown = [Problem(name, f"no such parameter{nearest(name, known, more)}") for name in strange]
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
    where = f"{KINDS[kind].singular} {name}"
    problems = parameter_problems(factory, given, tuple(fitting))
    if problems:
        raise ConfigError(problems, where)
    return factory(**given, **fitting)


def _entries(kind: str) -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group=KINDS[kind].group)}


def _parameters(factory: Factory) -> dict[str, inspect.Parameter]:
    """The parameters that the signature names."""
    open_ended = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return {name: p for name, p in _signature(factory).items() if p.kind not in open_ended}


def _signature(factory: Factory) -> Mapping[str, inspect.Parameter]:
    try:
        return inspect.signature(factory).parameters
    except (TypeError, ValueError):
        return {}


def _more(factory: Factory) -> list[str]:
    """The keywords beyond those of the signature that a component says it takes."""
    declared = getattr(factory, "more_parameters", None)
    return sorted(declared()) if callable(declared) else []


def _misdeclared(kind: Kind, factory: Factory) -> str:
    """What is wrong with the traits of a component; nothing if they are of its kind."""
    if kind.name == "measures" and getattr(factory, "traits", None) is None:
        return 'a measure needs the attribute `traits`, as in `traits = MeasureTraits(needs="text")`'
    try:
        traits_of(factory, kind.traits or object)
    except TypeError as error:
        return str(error)
    return ""


def _unchecked(factory: Factory) -> str:
    """Why a component's parameters can't be checked; nothing if they can."""
    any_keyword = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in _signature(factory).values())
    if not any_keyword or callable(getattr(factory, "more_parameters", None)):
        return ""
    name = getattr(factory, "__name__", repr(factory))
    return (
        f"{name} takes any keyword, so a mistyped parameter would go unnoticed: its author must name its parameters, "
        "or give it a static method more_parameters() that returns the names"
    )
