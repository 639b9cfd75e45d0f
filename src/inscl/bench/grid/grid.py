"""A grid: methods x orders x seeds x budgets x models, each cell an ordinary run."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError, field_validator, model_validator

from inscl.bench.grid.methods import (
    SHORTHANDS,
    Method,
    Section,
    problems_of,
    refusal,
    settings_of,
    uses_budget,
    written_out,
)
from inscl.config.identity import key_of, plugins_of, recorded_settings
from inscl.config.loading import load_config, read_yaml
from inscl.config.settings import ComponentConfig, RunConfig
from inscl.contract import Stream
from inscl.engine.plan import stream_of
from inscl.errors import ConfigError, Problem, nearest
from inscl.models import names as model_names

__all__ = ["SHORTHANDS", "Cell", "Grid", "Method", "cells_of", "grid_of_stream", "load_grid"]


class Grid(Section):
    """Which runs to compare."""

    run: str | dict[str, Any] = Field(description="What all runs share: a run's configuration, or the path of one.")
    methods: list[Method] = Field(min_length=1, description="Rows of the table: names of strategies, or mappings.")
    orders: list[str | list[str]] | None = Field(
        None, min_length=1, description="Orders by name, or lists of task names. Default: the run's own."
    )
    seeds: list[int] = Field(default_factory=lambda: [0, 1, 2], min_length=1, description="Seeds, or how many.")
    budgets: list[dict[str, float]] | None = Field(
        None, min_length=1, description="Budgets as in a run, `{per_task: 4}`. Default: the run's own."
    )
    models: list[str] | None = Field(None, min_length=1, description="Models by name. Default: the run's own.")
    reference: str = Field("random", description="The method that the others are compared with, pair by pair.")
    output_dir: str = Field("bench", min_length=1, description="Where runs, records and tables go.")

    @field_validator("methods", mode="before")
    @classmethod
    def _named(cls, value: Any) -> Any:
        return [written_out(item) for item in value] if _is_list(value) else value

    @field_validator("seeds", mode="before")
    @classmethod
    def _counted(cls, value: Any) -> Any:
        if not isinstance(value, int) or isinstance(value, bool):
            return value
        if value > _MOST_SEEDS:
            raise ValueError(f"at most {_MOST_SEEDS} seeds, got {value}; to name one seed, write [{value}]")
        return list(range(value))

    @field_validator("seeds", "orders", "budgets", "models")
    @classmethod
    def _once(cls, value: Any) -> Any:
        twice = [item for place, item in enumerate(value or ()) if item in value[:place]]
        if twice:
            raise ValueError(f"{json.dumps(twice[0])} stands there twice: leave one out")
        return value

    @field_validator("methods")
    @classmethod
    def _distinct(cls, value: list[Method]) -> list[Method]:
        names = [method.name for method in value]
        twice = [name for name in names if names.count(name) > 1]
        if twice:
            raise ValueError(f"two are called {twice[0]!r}: give one of them another `name`, and say its `strategy`")
        return value

    @model_validator(mode="after")
    def _orders_are_the_grids(self) -> Grid:
        for method in self.methods if self.orders else ():
            if said := refusal(method.set, {"stream.order": "list it under the grid's `orders`"}):
                raise ValueError(f"method {method.name}: {said}")
        return self


_MOST_SEEDS = 10_000  # written out before anything runs


@dataclass(frozen=True)
class Cell:
    """One run of a grid.

    Attributes:
        method: Name of its method.
        order: Name of its order.
        seed: Its seed.
        budget: Its budget, as in a configuration; None for a method that uses none.
        model: Name of its model.
        config: The run's whole configuration; ``output_dir`` is its folder.
        key: Fingerprint of what decides the result: settings, data, model, versions of plugins. Paths don't count.
    """

    method: str
    order: str
    seed: int
    budget: Mapping[str, float] | None
    model: str
    config: RunConfig
    key: str

    @property
    def title(self) -> str:
        """One line for people."""
        budget = "no budget" if self.budget is None else " ".join(f"{k}={v:g}" for k, v in self.budget.items())
        return f"{self.method}, {self.order}, {budget}, seed {self.seed}, {self.model}"

    def to_json(self) -> dict[str, Any]:
        """What a record says of it."""
        budget = None if self.budget is None else dict(self.budget)
        return {
            "method": self.method,
            "order": self.order,
            "seed": self.seed,
            "budget": budget,
            "model": self.model,
        }


def load_grid(source: Grid | Mapping[str, Any] | str | Path) -> Grid:
    """Read and check a grid.

    Args:
        source: A YAML file, its content, or a grid as it is. A relative path under ``run`` starts at the file's folder.

    Raises:
        ConfigError: Everything that is wrong with it, its methods' components and their parameters included.
    """
    if isinstance(source, Grid):
        return source
    where = "grid" if isinstance(source, Mapping) else str(source)
    values = dict(source) if isinstance(source, Mapping) else read_yaml(Path(source))
    if not isinstance(source, Mapping) and isinstance(values.get("run"), str):
        values["run"] = str(Path(source).parent / values["run"])
    problems, grid = [], None
    try:
        grid = Grid.model_validate(values)
    except ValidationError as error:
        problems = [_translate(detail) for detail in error.errors()]
    problems += _inside(values)
    names = [method.name for method in grid.methods] if grid else []
    if grid and grid.reference not in names and "reference" in values:
        problems.append(Problem("reference", f"no method {grid.reference!r}{nearest(grid.reference, names)}"))
    if problems or grid is None:
        raise ConfigError(problems, where)
    return grid


def grid_of_stream(path: str, methods: Sequence[str], seeds: int, changes: Sequence[str] = ()) -> Grid:
    """A grid over one stream with inscl's defaults: what ``inscl bench --stream`` runs.

    Args:
        path: The stream.
        methods: Names of strategies, or of `SHORTHANDS`.
        seeds: How many.
        changes: Changes to what all runs share, as in ``training.epochs=3``.

    Raises:
        ConfigError: A change or a method is wrong.
    """
    shared = {"stream": {"path": path}, "evaluation": {"experts": True}}
    settings = load_config(shared, changes)
    compared = "random" if "random" in methods else methods[0]
    return load_grid(
        {
            "run": settings.model_dump(mode="json"),
            "methods": list(methods),
            "seeds": seeds,
            "reference": compared,
            "output_dir": f"bench/{Path(path).resolve().stem}",
        }
    )


def cells_of(grid: Grid) -> list[Cell]:
    """The runs of a grid, seeds outermost, so that an interrupted grid has whole comparisons first.

    Raises:
        ConfigError: A cell's configuration has mistakes, an order doesn't exist, or two cells of different
            names are the same run.
        DataError: The stream can't be read.
    """
    shared = _shared(grid.run)
    streams: dict[str, Stream] = {}
    found: dict[str, Cell] = {}
    budgets = grid.budgets or [shared.replay.budget.model_dump(exclude_none=True)]
    orders: list[Any] = [None] if grid.orders is None else list(grid.orders)
    for seed, model, order, budget, method in itertools.product(
        grid.seeds, grid.models or [shared.model.name], orders, budgets, grid.methods
    ):
        cell = _cell(grid, shared, streams, (seed, model, order, budget, method))
        twin = found.setdefault(cell.key, cell)
        # A method without a budget comes back for every budget, as the same cell under the same name.
        if twin.to_json() != cell.to_json():
            raise ConfigError(f"two cells are the same run; leave one out: {twin.title}; and {cell.title}", "grid")
    return list(found.values())


def _cell(grid: Grid, shared: RunConfig, streams: dict[str, Stream], place: tuple[Any, ...]) -> Cell:
    seed, model, order, budget, method = place
    said = {"seed": seed, "model.name": model, **({"stream.order": order} if order is not None else {})}
    settings = settings_of(method, shared, {**said, "replay.budget": budget})
    if not uses_budget(settings):  # one cell, whatever budgets the others have
        budget, settings = None, settings_of(method, shared, {**said, "replay.budget": {"per_task": 0}})
    names = settings.stream.order
    called = names if isinstance(names, str) else "as given" if names is None else ", ".join(names)
    section = json.dumps([settings.stream.model_dump(mode="json"), seed], sort_keys=True)
    if section not in streams:
        streams[section] = stream_of(settings)
    key = _key(settings, streams[section])
    budget_name = "-".join(f"{k}{v:g}" for k, v in budget.items()) if budget else "any"
    folder = re.sub(r"[^\w.=-]+", "_", f"{method.name}-{called[:40]}-{budget_name}-seed{seed}")
    settings = settings.model_copy(update={"output_dir": str(Path(grid.output_dir) / "runs" / f"{folder}-{key[:8]}")})
    return Cell(method.name, called, seed, budget, model, settings, key)


def _key(settings: RunConfig, stream: Stream) -> str:
    model = model_names.fingerprint(model_names.resolve(settings.model.name))
    return key_of(recorded_settings(settings), stream.fingerprint, model, plugins_of(settings))


def _translate(detail: Any) -> Problem:
    key = ".".join(str(part) for part in detail["loc"])
    if detail["type"] == "extra_forbidden":
        known = _fields_at(detail["loc"])
        return Problem(key, f"no such key{nearest(str(detail['loc'][-1]), list(known))}")
    if detail["type"] == "missing":
        return Problem(key, "is required")
    return Problem(key, detail["msg"].removeprefix("Value error, "))


def _inside(values: Mapping[str, Any]) -> list[Problem]:
    """What is wrong with the run that a grid names, or else with its methods, whose parts depend on it."""
    if not isinstance(run := values.get("run"), str | Mapping):
        return []
    try:
        return problems_of(values.get("methods"), _shared(run))
    except ConfigError as error:
        return [Problem(f"run.{problem.key}", problem.message) for problem in error.problems]


def _fields_at(place: Sequence[Any]) -> Iterable[str]:
    """The keys that may stand at a place of a grid."""
    inside = [part for part in place[:-1] if isinstance(part, str) and part != "methods"]
    if place[0] != "methods":
        return Grid.model_fields
    return ComponentConfig.model_fields if inside else Method.model_fields


def _shared(run: str | Mapping[str, Any]) -> RunConfig:
    """What all runs of a grid share."""
    return load_config(run if isinstance(run, Mapping) else Path(run))


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)
