"""Refiners by name or as objects, each with all that provenance says of it."""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from inscl.config import kinds
from inscl.contract import Example
from inscl.contract.refined import Made
from inscl.contract.seams import Progress, Refiner
from inscl.contract.traits import RefinerTraits, traits_of
from inscl.errors import ConfigError, InsclError, Problem

__all__ = ["Step", "steps_of"]


@dataclass(frozen=True)
class Step:
    """A refiner with all that provenance says of it.

    Attributes:
        name: Its registered name; of an object that was passed in, the name of its class.
        refiner: The refiner.
        parameters: Its parameters, defaults included.
    """

    name: str
    refiner: Refiner
    parameters: Mapping[str, Any] = field(default_factory=dict)

    @property
    def version(self) -> str:
        """Of its method."""
        return traits_of(self.refiner, RefinerTraits).version

    @property
    def asks(self) -> bool:
        """Whether it asks language models."""
        return traits_of(self.refiner, RefinerTraits).asks

    @property
    def fingerprint(self) -> str:
        """64-bit hex digest of name, version and parameters; of one with models, of what it says decides."""
        says = self.asks or traits_of(self.refiner, RefinerTraits).reads_models
        own = self.refiner.fingerprint if says else dict(self.parameters)  # type: ignore[attr-defined]
        content = json.dumps([self.name, self.version, own], sort_keys=True, default=repr)
        return hashlib.sha256(content.encode()).hexdigest()[:16]

    def provenance(self, original: Example, made: Made, older: Mapping[str, Sequence[str]]) -> dict[str, Any]:
        """What a row that it made says of itself; `older` are the parents of what it was given, by id."""
        parents = list(dict.fromkeys((original.id, *made.parents)))
        ancestors = [one for one in dict.fromkeys(chain(*(older[parent] for parent in parents))) if one not in parents]
        return {
            "parent": parents[0] if len(parents) == 1 else parents,
            **({"ancestors": ancestors} if ancestors else {}),
            "refiner": self.name,
            "version": self.version,
            "parameters": self.fingerprint,
            "how": made.how,
            **made.facts,
        }


def steps_of(
    specifications: Sequence[Any], key: str = "stream.refine", progress: Progress | None = None
) -> tuple[Step, ...]:
    """Refiners by name, as mappings ``{name, params}``, or as objects, in the order in which they work.

    Args:
        specifications: The refiners.
        key: Where they stand, for messages.
        progress: For those that have a parameter `progress`.

    Raises:
        ConfigError: A name or parameter is wrong; all are told at once.
    """
    steps, problems = [], []
    for number, given in enumerate(specifications):
        try:
            steps.append(_step(given, progress))
        except ConfigError as error:
            problems += [Problem(f"{key}[{number}]", str(problem)) for problem in error.problems]
        except InsclError as error:
            problems.append(Problem(f"{key}[{number}]", str(error)))
    if problems:
        raise ConfigError(problems)
    return tuple(steps)


def _step(given: Any, progress: Progress | None) -> Step:
    if isinstance(given, Step):
        return given
    if hasattr(given, "refine"):
        return Step(type(given).__name__, given)
    name, params = (given.get("name"), given.get("params") or {}) if isinstance(given, Mapping) else (given, {})
    strange = set(given) - {"name", "params"} if isinstance(given, Mapping) else set()
    if not isinstance(name, str) or not isinstance(params, Mapping) or strange:
        raise ConfigError([Problem("", "the name of a refiner, or {name: ..., params: {...}}, was expected")])
    parameters = inspect.signature(kinds.load("refiners", name)).parameters.values()
    defaults = {one.name: one.default for one in parameters if one.default is not inspect.Parameter.empty}
    refiner = kinds.create("refiners", name, params, progress=progress)
    return Step(name, refiner, {key: value for key, value in {**defaults, **params}.items() if key != "progress"})
