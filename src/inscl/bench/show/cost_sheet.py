"""What each method took, and which of them compare with the reference at equal steps or equal tokens."""

from __future__ import annotations

import math

from inscl.bench.numbers.comparison import MATCHED_WITHIN, CostMean
from inscl.bench.numbers.summary import BudgetTable, Row, Summary
from inscl.bench.show.sheet import Sheet, signed
from inscl.reports.text import amount, duration, plain, value

__all__ = ["ANSWER_COSTS", "MATCHED", "against", "answer_costs", "cost_sheet", "matched_in", "matching"]

MATCHED = ("steps", "tokens")
"""Costs at which methods are compared: optimiser steps, and tokens trained on."""


ANSWER_COSTS = ("training tokens", "prompt tokens per answer", "seconds per answer", "bytes of state per task")
"""Heads of the columns that `answer_costs` fills."""


def answer_costs(row: Row) -> list[str]:
    """What a method takes to learn and to answer: tokens trained on, then means over answers and over stages."""
    found = {name: cost.mean for name, cost in row.costs.items()}
    tokens, read = amount(found["tokens"]), value(found["prompt_tokens_per_answer"])
    return [tokens, read, value(found["seconds_per_answer"], 3), amount(found["state_bytes"])]


def matching(summary: Summary, table: BudgetTable) -> list[str]:
    """Who is matched with the reference in steps, and who in tokens; a sentence each."""
    said = []
    others = [row for row in table.rows if row.method != summary.reference]
    for name in MATCHED:
        costs = [(row, row.costs[name]) for row in others]
        matched = [row.label for row, cost in costs if cost.matched]
        apart = [f"{row.label} {against(cost)}" for row, cost in costs if cost.matched is False]
        unknown = [row.label for row, cost in costs if cost.matched is None]
        within = f"within {MATCHED_WITHIN:g} % in every pair"
        parts = [f"matched with {summary.reference} ({within}): {', '.join(matched)}"] if matched else []
        parts += [f"not matched: {', '.join(apart)}"] if apart else []
        parts += [f"not comparable: {', '.join(unknown)}"] if unknown else []
        if parts:
            said.append(f"{name.capitalize()} {'; '.join(parts)}.")
    return said


def matched_in(summary: Summary, row: Row) -> str:
    """In what a row is matched with the reference: "steps, tokens", one of them or "neither"; its own is a dash."""
    known = {name: row.costs[name].matched for name in MATCHED}
    if row.method == summary.reference or all(matched is None for matched in known.values()):
        return "–"
    return ", ".join(name for name, matched in known.items() if matched) or "neither"


def against(cost: CostMean) -> str:
    """How much more or less than the reference's, in percent; "matched" where that is next to nothing in every pair."""
    if cost.against is None:
        return "–"
    if cost.matched:
        return "matched"
    mean, largest = signed(cost.against), cost.largest
    # Where all pairs are alike the mean says it all.
    if largest is None or math.isinf(largest) or signed(largest) == mean:
        return f"{mean} %"
    return f"{mean} % (up to {signed(largest)} %)"


def cost_sheet(summary: Summary, table: BudgetTable) -> Sheet:
    """Steps and tokens beside the reference's, what was replayed, and seconds."""
    beside = f"vs {plain(summary.reference)}"
    head = ["method", "steps", beside, "tokens", beside]
    head += ["replayed tokens", "replayed examples", "training", "planning", "evaluation"]
    rows = []
    for row in table.rows:
        cells = [row.label]
        for name in MATCHED:
            apart = "–" if row.method == summary.reference else against(row.costs[name])
            cells += [amount(row.costs[name].mean), apart]
        cells += [amount(row.costs[name].mean) for name in ("replay_tokens", "replayed")]
        cells += [duration(row.costs[f"{name}_seconds"].mean) for name in ("train", "plan", "evaluate")]
        rows.append(cells)
    notes = [
        f"Means over cells. Matched: within {MATCHED_WITHIN:g} % of {summary.reference} in every pair of both; "
        "otherwise the difference over all pairs, and the largest of a pair."
    ]
    return Sheet("Cost", head, rows, notes)
