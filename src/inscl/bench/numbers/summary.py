"""Cell records in, one summary out: what `inscl bench` can say about methods, and how sure it is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from inscl.bench.numbers.caveats import notes_on
from inscl.bench.numbers.comparison import (
    REFERENCE,
    CostMean,
    Difference,
    Noise,
    cost_mean,
    noise_floor,
    paired_difference,
)
from inscl.bench.numbers.forgotten_shares import Forgotten, added, by_task
from inscl.bench.numbers.general import P_SCORE, general_measure, p_score_measure
from inscl.bench.numbers.intervals import Estimate, estimate
from inscl.bench.numbers.measures import Measure, measures_of
from inscl.bench.numbers.observations import COSTS, BudgetKey, Observation, observe
from inscl.contract.scale import Scale

__all__ = ["BudgetTable", "Result", "Row", "Summary", "summarise"]

_KINDS = ("per_task", "total", "share", "tokens")


@dataclass(frozen=True)
class Result:
    """One measure of one method: over its cells, beside the reference, and why some cells have none."""

    estimate: Estimate
    difference: Difference
    reason: str | None = None


@dataclass(frozen=True)
class Row:
    """One method at one model and budget.

    Attributes:
        method: Its name.
        uses_budget: False for one that has no budget and therefore stands in every budget's table.
        cells: Its (order, seed) cells.
        results: Measure -> result.
        costs: A name of `COSTS` -> mean cost.
        forgotten: Task -> what all its cells forgot of it; None where no record has counted that.
    """

    method: str
    uses_budget: bool
    cells: int
    results: Mapping[str, Result]
    costs: Mapping[str, CostMean]
    forgotten: Mapping[str, Forgotten] | None

    @property
    def label(self) -> str:
        """The method's name, and that it uses no budget if so."""
        return self.method if self.uses_budget else f"{self.method} (no budget)"

    @property
    def lost(self) -> Forgotten | None:
        """What was forgotten over all tasks; None where no record has counted that."""
        return None if self.forgotten is None else added(self.forgotten.values())


@dataclass(frozen=True)
class BudgetTable:
    """The methods at one model and budget.

    Attributes:
        model: Its name.
        budget: Kind and value; None where no method of the model uses one.
        rows: One a method, the reference first.
        left_out: Task -> in how many streams Relative Gain leaves it out, for all methods, since an expert of it
            scored 0. A stream is one (order, seed) pair.
        streams: (order, seed) pairs.
    """

    model: str
    budget: BudgetKey | None
    rows: tuple[Row, ...]
    left_out: Mapping[str, int]
    streams: int


@dataclass(frozen=True)
class Summary:
    """Everything the tables say.

    Attributes:
        metric: The scorer behind all measures.
        scale: Its unit and which direction is good.
        measures: What is compared, in the order of the tables; general delta is the last, where tasks are held out.
        reference: The method that the others are compared with.
        resamples: Of the bootstrap.
        tables: One a model and budget, budgets ascending.
        noise: Model -> measure -> noise floor.
        notes: What a reader must know before comparing.
    """

    metric: str
    scale: Scale
    measures: tuple[Measure, ...]
    reference: str
    resamples: int
    tables: tuple[BudgetTable, ...]
    noise: Mapping[str, Mapping[str, Noise]]
    notes: tuple[str, ...]


def summarise(
    records: Sequence[Mapping[str, Any]],
    reference: str = "random",
    metric: str | None = None,
    resamples: int = 10_000,
) -> Summary:
    """Summarise the cells of a grid.

    Each mean is over (order, seed) cells, which are taken to be exchangeable. Metrics are computed from the score
    matrices; where one is undefined in a cell the cell is left out, and counted as left out.

    Args:
        records: One a cell, as read from JSON. Their order doesn't matter.
        reference: The method to compare with.
        metric: The scorer whose scores are taken; None takes the first of the first record.
        resamples: Of the bootstrap.

    Raises:
        DataError: A record is damaged, or two are of the same cell.
        ConfigError: There are no records, none has the scorer, or `resamples` is below 1.
    """
    metric, observations = observe(records, metric)
    scale = observations[0].scale
    measures = measures_of(scale)
    if any(cell.held_out for cell in observations):
        measures = (*measures, general_measure(scale))
    if any(cell.measures[P_SCORE] is not None for cell in observations):
        measures = (*measures, p_score_measure())
    tables: list[BudgetTable] = []
    noise: dict[str, dict[str, Noise]] = {}
    for model in dict.fromkeys(cell.model for cell in observations):
        cells = [cell for cell in observations if cell.model == model]
        noise[model] = {measure.name: noise_floor(cells, measure.name) for measure in measures}
        sizes = sorted({cell.budget for cell in cells if cell.budget is not None}, key=_budget_order)
        budgets: list[BudgetKey | None] = [*sizes] or [None]
        for budget in budgets:
            here = [cell for cell in cells if cell.budget in (budget, None)]
            left_out = {cell.pairing: cell.left_out for cell in here}
            counts = Counter(task for tasks in left_out.values() for task in tasks)
            rows = _rows(here, reference, measures, resamples)
            tables.append(BudgetTable(model, budget, rows, dict(sorted(counts.items())), len(left_out)))
    lacking = [table.model for table in tables if all(row.method != reference for row in table.rows)]
    notes = tuple(notes_on(observations, reference, lacking))
    return Summary(metric, scale, measures, reference, resamples, tuple(tables), noise, notes)


def _rows(cells: Sequence[Observation], reference: str, measures: Sequence[Measure], resamples: int) -> tuple[Row, ...]:
    groups: dict[tuple[str, bool], list[Observation]] = {}
    for cell in cells:
        groups.setdefault((cell.method, cell.budget is not None), []).append(cell)
    # A method may be there both with and without a budget; the one with it is the reference then.
    chosen = next((key for key in ((reference, True), (reference, False)) if key in groups), None)
    beside = groups[chosen] if chosen else []
    ordered = sorted(groups, key=lambda key: (key != chosen, not key[1], key[0]))
    return tuple(_row(key, groups[key], beside, key == chosen, measures, resamples) for key in ordered)


def _row(
    key: tuple[str, bool],
    cells: Sequence[Observation],
    reference: Sequence[Observation],
    is_reference: bool,
    measures: Sequence[Measure],
    resamples: int,
) -> Row:
    results = {}
    for measure in measures:
        found = estimate([cell.measures[measure.name] for cell in cells], resamples)
        if is_reference:
            difference = Difference(Estimate(None, 0), REFERENCE)
        else:
            difference = paired_difference(cells, reference, measure.name, resamples)
        reason = next((cell.reasons[measure.name] for cell in cells if measure.name in cell.reasons), None)
        results[measure.name] = Result(found, difference, reason)
    forgotten = by_task(cell.forgotten for cell in cells)
    costs = {name: cost_mean(cells, reference, name) for name in COSTS}
    return Row(key[0], key[1], len(cells), results, costs, forgotten)


def _budget_order(budget: BudgetKey) -> tuple[int, str, float]:
    kind, value = budget
    return _KINDS.index(kind) if kind in _KINDS else len(_KINDS), kind, value
