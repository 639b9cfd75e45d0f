"""What a stage left of the task that it learned, for a strategy that describes tasks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from inscl.contract.seams import Learner

__all__ = ["Noted"]


@dataclass(frozen=True)
class Noted:
    """What a strategy's `describe` noted of a task when it had just been learned.

    Attributes:
        facts: What `describe` returned, each a mapping of plain JSON values.
        folder: Where `describe` may have left files; None if it left none.
        restore: Brings a learner that has learned nothing to the state right after the task; None where that state
            wasn't kept, or the learner keeps none.
    """

    facts: Sequence[Mapping[str, Any]] = ()
    folder: Path | None = None
    restore: Callable[[Learner], None] | None = field(default=None, compare=False)
