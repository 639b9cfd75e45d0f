"""What each method forgot, and how: over all tasks, and task by task."""

from __future__ import annotations

from inscl.bench.numbers.forgotten_shares import Forgotten
from inscl.bench.numbers.summary import BudgetTable
from inscl.bench.show.sheet import Sheet
from inscl.reports.text import amount, plain, value

__all__ = ["forgotten_sheets"]

_NAMED = 3  # tasks that unrelated answers look like


def forgotten_sheets(table: BudgetTable) -> list[Sheet]:
    """The two sheets; none where no record has counted what was forgotten."""
    if all(row.forgotten is None for row in table.rows):
        return []
    return [_overall(table), _by_task(table)]


def _overall(table: BudgetTable) -> Sheet:
    head = ["method", "compared", "forgotten", "of compared", "related", "unrelated", "unrelated of forgotten"]
    rows = []
    for row in table.rows:
        if (lost := row.lost) is None:
            rows.append([row.label, *["–"] * (len(head) - 1), "–"])
            continue
        counts = [amount(lost.compared), amount(lost.forgotten), _percent(lost.share_lost)]
        counts += [amount(lost.related), amount(lost.unrelated), _percent(lost.share_unrelated)]
        rows.append([row.label, *counts, _resembled(lost)])
    notes = [
        "Answers over all cells that were right after their own stage and wrong at the end. Related: wrong, but of the "
        "kind that was asked for. Unrelated: the answer does something else. A check of labels and format tells them "
        "apart; it is often mistaken of single answers.",
    ]
    return Sheet("Forgotten answers", [*head, "look like"], rows, notes)


def _by_task(table: BudgetTable) -> Sheet:
    rows_counted = [row for row in table.rows if row.forgotten is not None]
    tasks = sorted({task for row in rows_counted for task in row.forgotten or {}})
    rows = [[plain(task, 40), *(_of_task((row.forgotten or {}).get(task)) for row in rows_counted)] for task in tasks]
    notes = [
        "Forgotten of compared answers over all cells, and in brackets the share of the forgotten that is unrelated."
    ]
    return Sheet("Forgotten answers by task", ["task", *(row.label for row in rows_counted)], rows, notes)


def _of_task(lost: Forgotten | None) -> str:
    if lost is None:
        return "–"
    counts = f"{lost.forgotten} of {lost.compared}" if lost.compared else str(lost.forgotten)
    return f"{counts} ({_percent(lost.share_unrelated)})" if lost.forgotten else counts


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{value(share, 0)} %"


def _resembled(lost: Forgotten) -> str:
    named = [f"{plain(task, 24)} {count}" for task, count in lost.looks_like[:_NAMED]]
    more = len(lost.looks_like) - len(named)
    return ", ".join(named + ([f"{more} more"] if more else [])) or "–"
