"""How to read the numbers of a metric: their unit, and which direction is better."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

__all__ = ["PERCENT", "Better", "Scale", "Unit", "one_of"]

Better = Literal["higher", "lower"]
Unit = Literal["percent", "nats", "number"]

_POINTS = {"percent": "points", "nats": "nats", "number": "units"}


@dataclass(frozen=True)
class Scale:
    """The unit and direction that everything which ranks, colours, gates, compares or prints a metric follows.

    Attributes:
        unit: ``percent``, ``nats`` or ``number``.
        better: Whether ``higher`` or ``lower`` numbers are better.

    Raises:
        ValueError: One of them is something else. A plugin that declares it is then refused before it is used.
    """

    unit: Unit = "percent"
    better: Better = "higher"

    def __post_init__(self) -> None:
        """Refuse what no table, gate or report could follow."""
        one_of("unit", self.unit, get_args(Unit))
        one_of("better", self.better, get_args(Better))

    @property
    def is_loss(self) -> bool:
        """Whether it is a loss in nats, of which the exponential is a perplexity."""
        return self.unit == "nats" and self.better == "lower"

    @property
    def digits(self) -> int:
        """Decimals that are shown: one of a percentage, three of anything else."""
        return 1 if self.unit == "percent" else 3

    @property
    def points(self) -> str:
        """What differences are counted in: points of a percentage, otherwise the unit."""
        return _POINTS[self.unit]

    def lost(self, before: float, after: float) -> float:
        """How much worse `after` is than `before`, in the unit; negative where it is better."""
        return before - after if self.better == "higher" else after - before

    def text(self, number: float, sign: str = "") -> str:
        """A number with the decimals of the unit; `sign` as in a format, ``+`` to have one always."""
        return f"{number:{sign}.{self.digits}f}"

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {"unit": self.unit, "better": self.better}


def one_of(name: str, value: str, allowed: Sequence[str]) -> None:
    """Check a declared word.

    Raises:
        ValueError: `value` isn't among `allowed`; the message lists them.
    """
    if value not in allowed:
        raise ValueError(f"{name} is {value!r}; it must be one of {', '.join(allowed)}")


PERCENT = Scale()
"""What a scorer's mean is read as where nothing else is declared."""
