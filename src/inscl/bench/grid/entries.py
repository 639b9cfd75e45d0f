"""A row of a grid: a strategy, its parameters, and which other settings it may change."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator

__all__ = ["SHORTHANDS", "Section", "StrategyEntry", "refusal", "written_out"]

SHORTHANDS: Mapping[str, dict[str, Any]] = {
    # Replay-free: what differs is which weights may change, so it is a way to train and no strategy. The learning rate
    # is the upper end of what PEFT's documentation advises for it.
    "osf": {
        "name": "none",
        "label": "osf",
        "set": {"model.adapter": {"kind": "osf"}, "training.learning_rate": 1e-4},
    },
}
"""Rows of a grid that have a name but are no strategy, each with what it stands for; what an entry says wins."""

_INSTEAD: Mapping[str, str] = {
    "seed": "list it under the grid's `seeds`",
    "label": "give the entry a `label`",
    "output_dir": "set the grid's own `output_dir`",
    "replay.strategy": "use the entry's `name`",
    "replay.params": "use the entry's `params`",
    "replay.budget": "list it under the grid's `budgets`",
    "model.name": "list it under the grid's `models`",
}
"""Settings that cells are named and compared by, each with where a grid says them."""


class Section(BaseModel):
    """A part of a grid: nothing that it doesn't know."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class StrategyEntry(Section):
    """One row of the table: a strategy with its parameters, and whatever else differs from the other rows."""

    name: str = Field(description="Registered name of the strategy.")
    label: str | None = Field(None, description="What the tables call it. Default: the name.")
    params: dict[str, Any] = Field(default_factory=dict, description="The strategy's own parameters.")
    set: dict[str, Any] = Field(
        default_factory=dict, description="Other settings of these runs, as in `{model.adapter.mode: fresh}`."
    )

    @property
    def title(self) -> str:
        """What tables call it."""
        return self.label or self.name

    @field_validator("set")
    @classmethod
    def _leaves_the_name(cls, value: dict[str, Any]) -> dict[str, Any]:
        if said := refusal(value, _INSTEAD):
            raise ValueError(said)
        return value


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


def written_out(entry: Any) -> Any:
    """An entry that is a name as a mapping, and a shorthand as what it stands for."""
    given: Any = {"name": entry} if isinstance(entry, str) else entry
    short = SHORTHANDS.get(given["name"]) if isinstance(given, Mapping) and isinstance(given.get("name"), str) else None
    if short is None:
        return given
    changes: dict[str, Any] = {**short["set"], **(given.get("set") or {})}
    return {**short, **given, "name": short["name"], "set": changes}
