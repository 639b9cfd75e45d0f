"""What a user asks ``inscl learn`` for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from inscl.errors import ConfigError, Problem
from inscl.workspace.new_data import Data

__all__ = ["BudgetRequest", "LearnRequest"]

BudgetRequest = str | int | Mapping[str, float]


@dataclass(frozen=True)
class LearnRequest:
    """What the user asked for.

    Attributes:
        data: What to learn; empty goes on with what an interrupted command had begun.
        name: What to call the one task.
        budget: Examples for each earlier task, or as in ``total=500``; None as configured.
        strategy: Registered name; None as configured.
        per_task: Most test examples of each task to score; None as the workspace has it.
        changes: Settings for these stages alone.
    """

    data: tuple[Data, ...] = ()
    name: str | None = None
    budget: BudgetRequest | None = None
    strategy: str | None = None
    per_task: int | None = None
    changes: tuple[str, ...] = ()

    @property
    def settings(self) -> tuple[str, ...]:
        """The same as overrides of the workspace's configuration."""
        budget = () if self.budget is None else (f"replay.budget.{_budget(self.budget)}",)
        strategy = () if self.strategy is None else (f"replay.strategy={self.strategy}", "replay.params={}")
        return (*strategy, *budget, *self.changes)


def _budget(given: BudgetRequest) -> str:
    """A budget as the rest of an override, as in ``per_task=200``."""
    if isinstance(given, Mapping):
        kinds = list(given.items())
    else:
        name, equals, value = str(given).partition("=")
        kinds = [(name, value)] if equals else [("per_task", name)]  # type: ignore[list-item]
    if len(kinds) != 1:
        raise ConfigError([Problem("--budget", "one kind was expected, as in 200, total=500, share=0.5, tokens=20000")])
    ((kind, amount),) = kinds
    return f"{kind}={amount}"
