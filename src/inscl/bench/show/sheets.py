"""A summary as sheets of plain text cells: what each table says, before any format escapes it."""

from __future__ import annotations

import re

from inscl.bench.numbers.comparison import NO_DIFFERENCE
from inscl.bench.numbers.intervals import Estimate, Interval
from inscl.bench.numbers.measures import Measure
from inscl.bench.numbers.observations import BudgetKey
from inscl.bench.numbers.summary import BudgetTable, Summary
from inscl.bench.show.cost_sheet import ANSWER_COSTS, answer_costs, cost_sheet, matched_in, matching
from inscl.bench.show.forgotten_sheets import forgotten_sheets
from inscl.bench.show.sheet import Section, Sheet, signed
from inscl.contract.scale import PERCENT
from inscl.reports.text import plain, scorer_name, unit_name, value

__all__ = ["Section", "Sheet", "budget_name", "introduction", "sections"]

_BUDGETS = {
    "per_task": "{} examples for each earlier task",
    "total": "{} examples in all",
    "share": "examples, {} times as many as the new task has",
    "tokens": "{} tokens in all",
}


def introduction(summary: Summary) -> list[str]:
    """What all tables share, in sentences; the summary's notes come last."""
    return [
        f"Scored by {_scored(summary)}. Means over (order, seed) cells with 95 % intervals. Of a few cells "
        "the percentile bootstrap is too narrow, so Student's t interval stands beside it.",
        f"Differences are to {summary.reference}, pair by pair of the same order and seed, in "
        f"{_difference_units(summary)}. Above and below are said only where both intervals exclude 0; else "
        f"“{NO_DIFFERENCE}”, which does not mean equal.",
        "Nothing is corrected for the number of comparisons. A dash is undefined, not 0.",
        *summary.notes,
    ]


def _difference_units(summary: Summary) -> str:
    """In what differences are counted: those of a measure in percent in points, others in the unit of the scores."""
    return " or ".join(dict.fromkeys("points" if one.unit == "percent" else one.unit for one in summary.measures))


def _scored(summary: Summary) -> str:
    """The metric; and its unit and direction where they are not those of a percentage that is better when higher."""
    scale = summary.scale
    return scorer_name(summary.metric) + ("" if scale == PERCENT else f" ({unit_name(scale)})")


def sections(summary: Summary) -> list[Section]:
    """One a model and budget, in the order of the summary."""
    found = []
    for table in summary.tables:
        sheets = [_overview(summary, table), *(_detail(summary, table, measure) for measure in summary.measures)]
        sheets += [cost_sheet(summary, table), *forgotten_sheets(table)]
        title = f"{plain(table.model, 36)}: {budget_name(table.budget)}"
        found.append(Section(title, _statements(summary, table), sheets))
    return found


def budget_name(budget: BudgetKey | None) -> str:
    """A budget in words, with what it is counted in."""
    if budget is None:
        return "no budget"
    kind, size = budget
    said = _BUDGETS.get(kind, f"{kind} {{}}").format(f"{size:,.10g}")
    return re.sub(r"^1 (example|token)s", r"1 \1", said)


def _statements(summary: Summary, table: BudgetTable) -> list[str]:
    """What the budget fixes, at which steps and tokens the methods really compare, and what isn't counted."""
    said = []
    if table.budget is not None:
        unit = "tokens" if table.budget[0] == "tokens" else "examples"
        said.append(f"The budget is in {unit}: {budget_name(table.budget)}.")
    return [*said, *matching(summary, table), *_left_out(table)]


def _left_out(table: BudgetTable) -> list[str]:
    """How many tasks Relative Gain does without, and which."""
    if not table.left_out:
        return []
    everywhere = all(count == table.streams for count in table.left_out.values())
    names = [
        plain(task, 60) if everywhere else f"{plain(task, 60)} (in {count} of {table.streams} order and seed pairs)"
        for task, count in table.left_out.items()
    ]
    tasks = "1 task whose expert scores" if len(names) == 1 else f"{len(names)} tasks whose experts score"
    return [f"Relative Gain leaves out {tasks} 0, for every method alike: {', '.join(names)}."]


def _overview(summary: Summary, table: BudgetTable) -> Sheet:
    rows, measures, points = [], summary.measures, summary.scale.points
    for row in table.rows:
        numbers = [_with_interval(row.results[one.name].estimate, one.digits) for one in measures]
        rows.append([row.label, str(row.cells), *numbers, *answer_costs(row), matched_in(summary, row)])
    lower = ", ".join(measure.title for measure in measures if measure.lower_is_better)
    counted = ", ".join(measure.title for measure in measures if measure.unit == points)
    notes = [f"Lower is better: {lower}. In {points} of the score: {counted}."]
    if any(measure.unit == "percent" for measure in measures):
        notes[0] += " The others are in percent."
    notes.append("A dash under a cost: not recorded, or not counted by the learner.")
    head = ["method", "cells", *(one.title for one in measures), *ANSWER_COSTS, "matched in"]
    return Sheet("Overview: mean (t interval)", head, rows, notes)


def _detail(summary: Summary, table: BudgetTable, measure: Measure) -> Sheet:
    head = ["method", "mean", "bootstrap", "t", "n"]
    head += [f"minus {plain(summary.reference)}", "bootstrap", "t", "pairs", "verdict", "matched in"]
    rows, notes = [], []
    for row in table.rows:
        result = row.results[measure.name]
        mine, gap = result.estimate, result.difference.estimate
        cells = str(mine.n) if not mine.undefined else f"{mine.n} of {row.cells}"
        spans = [_interval(one, measure.digits) for one in (mine.bootstrap, mine.t, gap.bootstrap, gap.t)]
        paired = [signed(gap.mean, measure.digits), *spans[2:], str(gap.n) if gap.n else "–"]
        rows.append([row.label, value(mine.mean, measure.digits), *spans[:2], cells, *paired])
        rows[-1] += [result.difference.verdict, matched_in(summary, row)]
        if mine.undefined:
            notes.append(f"{row.label}: undefined in {mine.undefined} of {row.cells} cells ({result.reason}).")
    notes += _left_out(table) if measure.needs_experts else []
    noise = summary.noise[table.model][measure.name]
    if noise.mean is None:
        notes.append("Noise floor: unknown, no two cells differ in the seed alone.")
    else:
        pairs = f"{noise.pairs} pair{'s' if noise.pairs != 1 else ''}"
        notes.append(
            f"Noise floor: cells that differ in the seed alone are {value(noise.mean, measure.digits)} apart "
            f"({pairs}). "
            "Where a stream is sampled the seed also draws its examples."
        )
    return Sheet(f"{measure.title} ({measure.unit}; {measure.better})", head, rows, notes)


def _with_interval(estimate: Estimate, digits: int) -> str:
    mean = value(estimate.mean, digits)
    return mean if estimate.t is None else f"{mean} ({_interval(estimate.t, digits)})"


def _interval(interval: Interval | None, digits: int) -> str:
    return "–" if interval is None else f"{value(interval.low, digits)} to {value(interval.high, digits)}"
