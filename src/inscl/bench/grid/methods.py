"""A row of a grid is a method: which parts it has, their parameters, and which other settings differ from the run's."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from inscl.config import kinds, wrapping
from inscl.config.loading import load_config
from inscl.config.settings import ComponentConfig, RunConfig
from inscl.contract.traits import LearnerTraits, StrategyTraits, traits_of
from inscl.errors import ConfigError, Problem, UnknownComponentError

__all__ = ["SHORTHANDS", "Method", "Section", "problems_of", "refusal", "settings_of", "uses_budget", "written_out"]

SHORTHANDS: Mapping[str, dict[str, Any]] = {
    # Replay-free: what differs is which weights may change. The learning rate is the upper end of what PEFT's
    # documentation advises for it.
    "osf": {"strategy": "none", "adapter": {"kind": "osf"}, "set": {"training.learning_rate": 1e-4}},
}
"""Methods that have a name of their own, each with what it stands for; what a row says itself wins."""

_NO_REPLAY = "none"
"""The strategy of a learner that takes no replay."""

_HEADINGS = {
    "replay.strategy": "strategy",
    "replay.params": "strategy.params",
    "training.learner": "learner",
    "training.params": "learner.params",
    "model.adapter": "adapter",
    "training.objective": "objective",
    "stream.refine": "refine",
}
"""Settings that a method says under a key of its own."""

_INSTEAD: Mapping[str, str] = {
    "seed": "list it under the grid's `seeds`",
    "label": "give the method another `name`",
    "output_dir": "set the grid's own `output_dir`",
    "replay.strategy": "use the method's `strategy`",
    "replay.params": "use the method's `strategy`",
    "replay.budget": "list it under the grid's `budgets`",
    "training.learner": "use the method's `learner`",
    "training.params": "use the method's `learner`",
    "model.name": "list it under the grid's `models`",
}
"""Settings that cells are named and compared by, each with where a grid says them."""


class Section(BaseModel):
    """A part of a grid: nothing that it doesn't know."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Method(Section):
    """One row of the table. What it doesn't say is as in the grid's `run`, but for the strategy."""

    name: str = Field(min_length=1, description="What the tables call it.")
    strategy: ComponentConfig | None = Field(None, description="Replay strategy. Default: the one of the same name.")
    learner: ComponentConfig | None = Field(None, description="What is taught.")
    adapter: dict[str, Any] | None = Field(None, description="How the model is changed, as under `model.adapter`.")
    objective: ComponentConfig | None = Field(None, description="What training minimises.")
    refine: list[ComponentConfig] | None = Field(None, description="Refiners of the train splits, in this order.")
    set: dict[str, Any] = Field(
        default_factory=dict, description="Other settings of these runs, as in `{model.adapter.mode: fresh}`."
    )

    @field_validator("strategy", "learner", "objective", mode="before")
    @classmethod
    def _named(cls, value: Any) -> Any:
        return {"name": value} if isinstance(value, str) else value

    @field_validator("adapter", mode="before")
    @classmethod
    def _of_a_kind(cls, value: Any) -> Any:
        return {"kind": value} if isinstance(value, str) else value

    @field_validator("refine", mode="before")
    @classmethod
    def _each_named(cls, value: Any) -> Any:
        return [{"name": one} if isinstance(one, str) else one for one in value] if isinstance(value, list) else value

    @field_validator("set")
    @classmethod
    def _leaves_the_name(cls, value: dict[str, Any]) -> dict[str, Any]:
        if said := refusal(value, _INSTEAD):
            raise ValueError(said)
        return value

    def changes(self, shared: RunConfig) -> dict[str, Any]:
        """What it says: dotted settings of a run -> values.

        Raises:
            UnknownComponentError: No learner of that name.
        """
        named = self.learner or ComponentConfig(name=shared.training.learner, params=shared.training.params)
        learner = wrapping.unwrapped(named.name, named.params)
        replays = traits_of(kinds.load("learners", learner), LearnerTraits).replays
        strategy = self.strategy or ComponentConfig(name=self.name if replays else _NO_REPLAY)
        found: dict[str, Any] = {
            "label": self.name,
            "replay.strategy": strategy.name,
            "replay.params": strategy.params,
        }
        if self.learner:
            found |= {"training.learner": self.learner.name, "training.params": self.learner.params}
        if self.adapter is not None:
            found["model.adapter"] = self.adapter
        if self.objective:
            found["training.objective"] = _shortest(self.objective)
        if self.refine is not None:
            found["stream.refine"] = [_shortest(one) for one in self.refine]
        return {**found, **self.set}


def settings_of(method: Method, shared: RunConfig, place: Mapping[str, Any]) -> RunConfig:
    """The whole configuration of a method's run.

    Args:
        method: A row of the grid.
        shared: What all runs share.
        place: Dotted settings that the cell decides: seed, model, order, budget.

    Raises:
        ConfigError: Everything that is wrong with it, under the keys of the method.
        UnknownComponentError: No learner of that name.
    """
    changes = {**place, **method.changes(shared)}
    overrides = [f"{key}={json.dumps(value)}" for key, value in changes.items()]
    try:
        return load_config(shared.model_dump(mode="json"), overrides)
    except ConfigError as error:
        told = [Problem(_key(problem.key, method), problem.message) for problem in error.problems]
        raise ConfigError(told, f"grid, method {method.name}") from error


def uses_budget(settings: RunConfig) -> bool:
    """Whether a run's result depends on the budget: otherwise it is one cell for all budgets."""
    return traits_of(kinds.load("strategies", settings.replay.strategy), StrategyTraits).uses_budget


def problems_of(methods: Any, shared: RunConfig) -> list[Problem]:
    """What is wrong with the components of methods and their parameters, by the components' own signatures.

    Args:
        methods: As in the YAML; rows that aren't methods at all are left aside.
        shared: What all runs share.
    """
    found = []
    for number, given in enumerate(methods if isinstance(methods, list) else ()):
        try:
            method = Method.model_validate(written_out(given))
            settings_of(method, shared, {})
        except ValidationError:
            continue
        except ConfigError as error:
            found += [Problem(f"methods.{number}.{problem.key}", problem.message) for problem in error.problems]
        except UnknownComponentError as error:
            found.append(Problem(f"methods.{number}.learner", str(error)))
    return found


def _key(setting: str, method: Method) -> str:
    """The key of a method that a setting of its runs comes from."""
    if any(f"{setting}.".startswith(f"{name}.") for name in method.set):
        return f"set.{setting}"
    for heading, key in _HEADINGS.items():
        if f"{setting}.".startswith(f"{heading}."):
            return key + setting.removeprefix(heading)
    return setting


def _shortest(component: ComponentConfig) -> str | dict[str, Any]:
    """As in a configuration, where a name alone and the name without parameters must be one setting."""
    return component.model_dump() if component.params else component.name


def refusal(changes: Collection[str], instead: Mapping[str, str] = _INSTEAD) -> str | None:
    """Why settings may not be changed in one row: tables would call its cells by what they are not.

    Args:
        changes: Dotted keys of settings.
        instead: Settings that are not to be touched, and what to use for each. What lies below one counts as the
            setting, and so does a section above it: naming a section replaces all of it.

    Returns:
        A message that names the first such key; None where there is none.
    """
    for key in changes:
        for taken, use in instead.items():
            if f"{key}.".startswith(f"{taken}."):
                return f"{key} can't be set for one row, since cells are named by {taken}: {use}"
            if taken.startswith(f"{key}."):
                return f"{key} would replace {taken}, which cells are named by: name the setting in it that you mean"
    return None


def written_out(row: Any) -> Any:
    """A row that is a name as a mapping, and a shorthand as what it stands for."""
    given: Any = {"name": row} if isinstance(row, str) else row
    short = SHORTHANDS.get(given["name"]) if isinstance(given, Mapping) and isinstance(given.get("name"), str) else None
    if short is None:
        return given
    own = given.get("set") or {}
    return {**short, **given, "set": {**short["set"], **own} if isinstance(own, Mapping) else own}
