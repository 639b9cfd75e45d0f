"""The instructions of a plan: what each was worth, and whether it was picked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from inscl.reports.charts import Dot, strip
from inscl.reports.tables import thinned
from inscl.reports.text import plain, value
from inscl.storage.run.formats import InstructionRecord, Plan, Share

__all__ = ["PlannedTask", "planned"]


@dataclass(frozen=True)
class PlannedTask:
    """An earlier task in a plan: its share, the strip, the instructions to list and what is left out."""

    share: Share
    strip: Markup
    listed: Sequence[InstructionRecord]
    more: int
    more_picked: int

    @property
    def picked(self) -> int:
        """Instructions of which at least one example was taken."""
        return sum(item.picked > 0 for item in self.share.instructions)


def planned(plan: Plan, listed: int, dots: int, tasks: int | None = None) -> list[PlannedTask]:
    """The earlier tasks of a plan whose instructions were ranked; empty where the strategy ranks none.

    Args:
        plan: The plan.
        listed: List at most this many instructions a task, the most informative first.
        dots: Draw at most this many dots a task.
        tasks: Show at most this many tasks, those with the largest shares; None shows all.
    """
    ranked = [share for share in plan.tasks if any(item.insinfo is not None for item in share.instructions)]
    if tasks is not None and len(ranked) > tasks:
        largest = sorted(ranked, key=lambda share: -share.allocation)[:tasks]
        ranked = [share for share in ranked if share in largest]
    most = max((item.insinfo or 0.0 for share in ranked for item in share.instructions), default=0.0)
    found = []
    for share in ranked:
        items = sorted(share.instructions, key=lambda item: (-(item.insinfo or 0.0), item.rank or 0))
        # Of more instructions than dots, an even spread over the ranks is drawn.
        drawn = [items[place - 1] for place in thinned(len(items), dots)]
        points = [Dot(item.insinfo or 0.0, item.picked > 0, _dot_title(item)) for item in drawn]
        rest = items[listed:]
        title = f"InsInfo of the instructions of {plain(share.task)}, 0 to {value(most, 2)}"
        found.append(
            PlannedTask(share, strip(points, most, title), items[:listed], len(rest), sum(i.picked for i in rest))
        )
    return found


def _dot_title(item: InstructionRecord) -> str:
    return f"InsInfo {value(item.insinfo, 2)}, {item.picked} of {item.frequency} taken: {plain(item.instruction)}"
