"""A summary as sheets of plain text cells: what each table says, before any format escapes it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from inscl.bench.comparison import NO_DIFFERENCE, CostMean
from inscl.bench.intervals import Estimate, Interval
from inscl.bench.measures import MEASURES, Measure
from inscl.bench.observations import BudgetKey
from inscl.bench.summary import BudgetTable, Row, Summary
from inscl.reports.text import amount, duration, plain, scorer_name, value

__all__ = ["Section", "Sheet", "budget_name", "introduction", "sections"]

_BUDGETS = {
    "per_task": "{} examples for each earlier task",
    "total": "{} examples in all",
    "share": "examples, {} times as many as the new task has",
    "tokens": "{} tokens in all",
}


@dataclass(frozen=True)
class Sheet:
    """One table: the first column is text, the others stand to the right; notes go below."""

    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = field(default_factory=list)


@dataclass(frozen=True)
class Section:
    """The sheets of one model and budget, and what is to be known before reading them."""

    title: str
    statements: Sequence[str]
    sheets: Sequence[Sheet]


def introduction(summary: Summary) -> list[str]:
    """What all tables share, in sentences; the summary's notes come last."""
    return [
        f"Scored by {scorer_name(summary.metric)}. Means over (order, seed) cells with 95 % intervals. Of a few cells "
        "the percentile bootstrap is too narrow, so Student's t interval stands beside it.",
        f"Differences are to {summary.reference}, pair by pair of the same order and seed, in points. Above and below "
        f"are said only where both intervals exclude 0; else “{NO_DIFFERENCE}”, which does not mean equal.",
        "Nothing is corrected for the number of comparisons. A dash is undefined, not 0.",
        *summary.notes,
    ]


def sections(summary: Summary) -> list[Section]:
    """One a model and budget, in the order of the summary."""
    found = []
    for table in summary.tables:
        sheets = [_overview(table), *(_detail(summary, table, measure) for measure in MEASURES), _costs(summary, table)]
        title = f"{plain(table.model, 36)}: {budget_name(table.budget)}"
        found.append(Section(title, _statements(summary, table), sheets))
    return found


def budget_name(budget: BudgetKey | None) -> str:
    """A budget in words, with what it is counted in."""
    if budget is None:
        return "no budget"
    kind, size = budget
    return _BUDGETS.get(kind, f"{kind} {{}}").format(f"{size:,.10g}")


def _statements(summary: Summary, table: BudgetTable) -> list[str]:
    """What the budget fixes, and at which steps and tokens the strategies really compare."""
    said = []
    if table.budget is not None:
        unit = "tokens" if table.budget[0] == "tokens" else "examples"
        said.append(f"The budget is in {unit}: {budget_name(table.budget)}.")
    others = [row for row in table.rows if row.strategy != summary.reference]
    for name in ("steps", "tokens"):
        costs = [(row, row.costs[name]) for row in others]
        matched = [row.label for row, cost in costs if cost.matched]
        apart = [f"{row.label} {_against(cost)}" for row, cost in costs if cost.matched is False]
        unknown = [row.label for row, cost in costs if cost.matched is None]
        parts = [f"matched with {summary.reference} (within 1 %): {', '.join(matched)}"] if matched else []
        parts += [f"not matched: {', '.join(apart)}"] if apart else []
        parts += [f"not comparable: {', '.join(unknown)}"] if unknown else []
        if parts:
            said.append(f"{name.capitalize()} {'; '.join(parts)}.")
    return said


def _overview(table: BudgetTable) -> Sheet:
    rows = []
    for row in table.rows:
        found = [row.results[measure.name].estimate for measure in MEASURES]
        rows.append([row.label, str(row.cells), *(_with_interval(estimate) for estimate in found)])
    lower = ", ".join(measure.title for measure in MEASURES if measure.lower_is_better)
    points = ", ".join(measure.title for measure in MEASURES if measure.unit == "points")
    notes = [f"Lower is better: {lower}. In points of the score: {points}. The others are in percent."]
    return Sheet("Overview: mean (t interval)", ["strategy", "cells", *(one.title for one in MEASURES)], rows, notes)


def _detail(summary: Summary, table: BudgetTable, measure: Measure) -> Sheet:
    head = ["strategy", "mean", "bootstrap", "t", "n"]
    head += [f"minus {plain(summary.reference)}", "bootstrap", "t", "pairs", "verdict"]
    rows, notes = [], []
    for row in table.rows:
        result = row.results[measure.name]
        mine, gap = result.estimate, result.difference.estimate
        cells = str(mine.n) if not mine.undefined else f"{mine.n} of {row.cells}"
        paired = [_signed(gap.mean), _interval(gap.bootstrap), _interval(gap.t), str(gap.n) if gap.n else "–"]
        rows.append([row.label, value(mine.mean), _interval(mine.bootstrap), _interval(mine.t), cells, *paired])
        rows[-1].append(result.difference.verdict)
        if mine.undefined:
            notes.append(f"{row.label}: undefined in {mine.undefined} of {row.cells} cells ({result.reason}).")
    noise = summary.noise[table.model][measure.name]
    if noise.mean is None:
        notes.append("Noise floor: unknown, no two cells differ in the seed alone.")
    else:
        pairs = f"{noise.pairs} pair{'s' if noise.pairs != 1 else ''}"
        notes.append(f"Noise floor: cells that differ in the seed alone are {value(noise.mean)} apart ({pairs}).")
    return Sheet(f"{measure.title} ({measure.unit}; {measure.better})", head, rows, notes)


def _costs(summary: Summary, table: BudgetTable) -> Sheet:
    head = ["strategy", "steps", f"vs {plain(summary.reference)}", "tokens", f"vs {plain(summary.reference)}"]
    head += ["replayed tokens", "replayed examples", "training", "planning", "evaluation"]
    counted = any(row.forgotten is not None for row in table.rows)
    notes = ["Means over cells."]
    if counted:
        head.append("unrelated of forgotten")
        notes.append("Unrelated: forgotten answers that have nothing to do with their instruction, over all cells.")
    rows = []
    for row in table.rows:
        cells = [row.label]
        for name in ("steps", "tokens"):
            against = "–" if row.strategy == summary.reference else _against(row.costs[name])
            cells += [amount(row.costs[name].mean), against]
        cells += [amount(row.costs[name].mean) for name in ("replay_tokens", "replayed")]
        cells += [duration(row.costs[f"{name}_seconds"].mean) for name in ("train", "plan", "evaluate")]
        rows.append([*cells, _unrelated(row)] if counted else cells)
    return Sheet("Cost", head, rows, notes)


def _unrelated(row: Row) -> str:
    if row.forgotten is None:
        return "–"
    lost, unrelated = row.forgotten
    return f"{value(row.unrelated, 0)}{' %' if lost else ''} ({unrelated} of {lost})"


def _against(cost: CostMean) -> str:
    if cost.against is None:
        return "–"
    return "matched" if cost.matched else f"{_signed(cost.against)} %"


def _with_interval(estimate: Estimate) -> str:
    return value(estimate.mean) if estimate.t is None else f"{value(estimate.mean)} ({_interval(estimate.t)})"


def _interval(interval: Interval | None) -> str:
    return "–" if interval is None else f"{value(interval.low)} to {value(interval.high)}"


def _signed(number: float | None) -> str:
    text = value(number)
    return f"+{text}" if number is not None and number > 0 and text.strip("0.,") else text
