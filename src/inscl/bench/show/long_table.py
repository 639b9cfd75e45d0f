"""A summary as CSV: one row a method, budget and measure, with every number in full."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from typing import Any

from inscl.bench.numbers.intervals import Estimate
from inscl.bench.numbers.measures import Measure
from inscl.bench.numbers.observations import COSTS
from inscl.bench.numbers.summary import BudgetTable, Row, Summary

__all__ = ["to_csv"]

# The last four are the wide forms, which some spreadsheets take for the same.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def to_csv(summary: Summary) -> str:
    """The summary as CSV (RFC 4180, lines end in CRLF), for a spreadsheet or a data frame.

    Undefined is an empty cell. Numbers are written so that they read back as the same. A text that a spreadsheet would
    take for a formula, one that begins with ``= + - @`` or with a tab or line break, gets an apostrophe in front
    (OWASP's advice on CSV injection, recalled); numbers, negative ones too, stay numbers.
    """
    lines = [
        _line(summary, table, row, measure)
        for table in summary.tables
        for row in table.rows
        for measure in summary.measures
    ]
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(lines[0])
    writer.writerows([_guarded(cell) for cell in line.values()] for line in lines)
    return out.getvalue()


def _line(summary: Summary, table: BudgetTable, row: Row, measure: Measure) -> Mapping[str, Any]:
    result = row.results[measure.name]
    kind, size = table.budget or (None, None)
    noise = summary.noise[table.model][measure.name]
    lost = row.lost
    return {
        "model": table.model,
        "budget_kind": kind,
        "budget": size,
        "method": row.method,
        "uses_budget": row.uses_budget,
        "scorer": summary.metric,
        "measure": measure.name,
        "unit": measure.unit,
        "better": "lower" if measure.lower_is_better else "higher",
        "cells": row.cells,
        **_numbers("", result.estimate),
        "undefined": result.estimate.undefined,
        "undefined_reason": result.reason,
        "left_out": "; ".join(table.left_out) if measure.needs_experts else None,
        "reference": summary.reference,
        **_numbers("difference_", result.difference.estimate),
        "verdict": result.difference.verdict,
        "noise_floor": noise.mean,
        "noise_pairs": noise.pairs,
        **{name: row.costs[name].mean for name in COSTS},
        "steps_against_percent": row.costs["steps"].against,
        "steps_matched": row.costs["steps"].matched,
        "tokens_against_percent": row.costs["tokens"].against,
        "tokens_matched": row.costs["tokens"].matched,
        "answers_compared": lost.compared if lost else None,
        "forgotten": lost.forgotten if lost else None,
        "forgotten_unrelated": lost.unrelated if lost else None,
        "forgotten_unrelated_percent": lost.share_unrelated if lost else None,
    }


def _numbers(prefix: str, found: Estimate) -> dict[str, Any]:
    boot, student = found.bootstrap, found.t
    return {
        f"{prefix}mean": found.mean,
        f"{prefix}bootstrap_low": boot.low if boot else None,
        f"{prefix}bootstrap_high": boot.high if boot else None,
        f"{prefix}t_low": student.low if student else None,
        f"{prefix}t_high": student.high if student else None,
        f"{prefix}n": found.n,
    }


def _guarded(cell: Any) -> Any:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) else cell
