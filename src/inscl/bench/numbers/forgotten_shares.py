"""What the cells of a grid forgot, task by task: counts that add up over orders and seeds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["Forgotten", "added", "by_task", "forgotten_of"]


@dataclass(frozen=True)
class Forgotten:
    """Answers that were right after their own stage and are wrong at the end.

    Attributes:
        compared: Answers that were scored both times; 0 where a record doesn't say.
        forgotten: Those that were lost.
        unrelated: The lost ones that do something else than their instruction asks (*instruction-unrelated*).
        looks_like: (task, count) of the unrelated ones that look like another task's answers, most first.
    """

    compared: int = 0
    forgotten: int = 0
    unrelated: int = 0
    looks_like: tuple[tuple[str, int], ...] = ()

    @property
    def related(self) -> int:
        """The lost ones that still attempt what was asked (*instruction-related*)."""
        return self.forgotten - self.unrelated

    @property
    def share_lost(self) -> float | None:
        """Lost of compared, percent; None where nothing was compared."""
        return 100 * self.forgotten / self.compared if self.compared else None

    @property
    def share_unrelated(self) -> float | None:
        """Unrelated of lost, percent; None where nothing was lost."""
        return 100 * self.unrelated / self.forgotten if self.forgotten else None


def forgotten_of(given: Mapping[str, Mapping[str, Any]] | None) -> Mapping[str, Forgotten] | None:
    """A record's counts by task; None where it has none (a single task, joint training)."""
    if not given:
        return None
    return {str(task): _read(counts) for task, counts in given.items()}


def by_task(cells: Iterable[Mapping[str, Forgotten] | None]) -> Mapping[str, Forgotten] | None:
    """The counts of several cells, task by task; None where no cell has any."""
    found: dict[str, list[Forgotten]] = {}
    for cell in cells:
        for task, counts in (cell or {}).items():
            found.setdefault(task, []).append(counts)
    return {task: added(counts) for task, counts in found.items()} or None


def added(counts: Iterable[Forgotten]) -> Forgotten:
    """One sum."""
    several = list(counts)
    resembled: Counter[str] = Counter()
    for one in several:
        resembled.update(dict(one.looks_like))
    return Forgotten(
        sum(one.compared for one in several),
        sum(one.forgotten for one in several),
        sum(one.unrelated for one in several),
        _ranked(resembled),
    )


def _read(counts: Mapping[str, Any]) -> Forgotten:
    resembled = Counter({str(task): int(count) for task, count in (counts.get("looks_like") or {}).items()})
    return Forgotten(
        int(counts.get("compared", 0)), int(counts["forgotten"]), int(counts["unrelated"]), _ranked(resembled)
    )


def _ranked(counts: Mapping[str, int]) -> tuple[tuple[str, int], ...]:
    # By name where counts are equal, so that the order of the records doesn't matter.
    return tuple(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
