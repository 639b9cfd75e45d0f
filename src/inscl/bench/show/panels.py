"""What the figure is made of: a panel for each model and kind of budget, and where values lie in it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from inscl.bench.numbers.intervals import Estimate
from inscl.bench.numbers.measures import Measure
from inscl.bench.numbers.summary import BudgetTable, Summary

__all__ = ["APART", "FOOT", "LEFT", "RIGHT", "TOP", "Panel", "panels_of"]

LEFT, RIGHT, APART = 44, 500, 548
"""Across, in pixels: where the frame begins, where the budgets end, and where methods without one stand."""

TOP, FOOT = 44, 46
"""Room above and below the frame, in pixels."""


@dataclass(frozen=True)
class Panel:
    """One model and one kind of budget.

    Attributes:
        model: Its name.
        kind: The kind of budget.
        sizes: The budgets, ascending.
        tables: The table of each.
        labels: All methods of the summary, so that each looks the same in every panel.
        measure: What is drawn.
        low: Lower end of the scale, in the unit of the measure.
        high: Upper end.
        height: In pixels.
    """

    model: str
    kind: str
    sizes: Sequence[float]
    tables: Sequence[BudgetTable]
    labels: Sequence[str]
    measure: Measure
    low: float
    high: float
    height: int

    def x(self, size: float) -> float:
        """Pixels from the left; on a logarithmic scale where budgets span a factor of 8 or more."""
        first, last = self.sizes[0], self.sizes[-1]
        if first > 0 and last / first >= 8:
            share = math.log(size / first) / math.log(last / first)
        else:
            share = (size - first) / (last - first)
        return LEFT + 34 + share * (RIGHT - LEFT - 60)

    def y(self, number: float) -> float:
        """Pixels from the top of the panel; what lies beyond the scale is put on its edge."""
        inside = min(max(number, self.low), self.high)
        return TOP + (self.height - TOP - FOOT) * (self.high - inside) / (self.high - self.low)

    def ticks(self) -> list[tuple[float, str]]:
        """Each budget and what stands under it: where budgets rest on unlike numbers of cells, those as well."""
        counts = [sorted({row.cells for row in table.rows if row.uses_budget}) for table in self.tables]
        if all(count == counts[0] for count in counts):
            return [(size, f"{size:,.10g}") for size in self.sizes]
        spans = [" to ".join(str(n) for n in dict.fromkeys((count[0], count[-1]))) for count in counts]
        return [(size, f"{size:,.10g} (n = {span})") for size, span in zip(self.sizes, spans, strict=True)]

    def levels(self) -> list[float]:
        """Where the upright axis is marked: multiples of 5 of a percentage, six even steps of anything else."""
        if self.measure.unit not in ("percent", "points"):
            return [self.low + part * (self.high - self.low) / 6 for part in range(7)]
        step = max(1, math.ceil((self.high - self.low) / 6 / 5)) * 5
        return [float(level) for level in range(int(self.low), int(self.high) + 1, step)]

    def line(self, label: str) -> list[tuple[float, Estimate]]:
        """Size and gain of a method at each budget; size -1, once, for one that uses none."""
        found: dict[float, Estimate] = {}
        for size, table in zip(self.sizes, self.tables, strict=True):
            for row in table.rows:
                if row.label == label:
                    found[size if row.uses_budget else -1.0] = row.results[self.measure.name].estimate
        return list(found.items())


def panels_of(summary: Summary) -> list[Panel]:
    """The panels that have two budgets and something to draw."""
    measure = summary.measures[0]
    labels = sorted({row.label for table in summary.tables for row in table.rows})
    groups: dict[tuple[str, str], list[BudgetTable]] = {}
    for table in summary.tables:
        if table.budget is not None:
            groups.setdefault((table.model, table.budget[0]), []).append(table)
    panels = []
    for (model, kind), tables in groups.items():
        found = [row.results[measure.name].estimate for table in tables for row in table.rows]
        known = [estimate.mean for estimate in found if estimate.mean is not None]
        if len(tables) < 2 or not known:
            continue
        known += [end for gain in found if gain.bootstrap for end in (gain.bootstrap.low, gain.bootstrap.high)]
        grain = _grain(measure, known)
        low, high = math.floor(min(known) / grain - 0.4) * grain, math.ceil(max(known) / grain + 0.4) * grain
        sizes = [table.budget[1] for table in tables if table.budget is not None]
        height = max(330, TOP + FOOT + 18 * len(labels))
        panels.append(Panel(model, kind, sizes, tables, labels, measure, low, high, height))
    return panels


def _grain(measure: Measure, numbers: Sequence[float]) -> float:
    """What the ends of the scale are multiples of: 5 percent or points, of anything else half a power of ten."""
    if measure.unit in ("percent", "points"):
        return 5.0
    return 10.0 ** math.floor(math.log10(max(map(abs, numbers)) or 1.0)) / 2
