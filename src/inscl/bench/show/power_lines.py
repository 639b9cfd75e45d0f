"""The power of a grid in lines of text: what its pairs of cells could show, and what more would take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from inscl.bench.numbers.intervals import bootstrap_interval, t_interval
from inscl.bench.numbers.measures import Measure, measures_of
from inscl.bench.numbers.observations import BudgetKey, Observation, observe
from inscl.bench.numbers.power import ALPHA, Power, power_of_pairs
from inscl.bench.numbers.questions import differences_of, nested_bootstrap

__all__ = ["TARGET", "power_lines"]

TARGET = 3.0
"""The difference of gains that is asked about, points."""

_GAINS = ("relative_gain_final", "perplexity_gain_final", "pooled_perplexity_gain_final")


def power_lines(
    records: Sequence[Mapping[str, Any]], reference: str = "random", target: float = TARGET, looks: int = 1
) -> list[str]:
    """For every method and budget: its paired difference from the reference, and how small a one could be shown.

    Args:
        records: One a cell, as read from JSON.
        reference: The method to compare with.
        target: The difference that is asked about, points.
        looks: How often the results are looked at.

    Raises:
        DataError: A record is damaged.
        ConfigError: There are no records, or an argument is out of range.
    """
    metrics = list(dict.fromkeys(metric for record in records for metric in record.get("scores") or {}))
    lines = []
    asked = False
    for metric in metrics or [None]:
        name, cells = observe(records, metric)
        measures = [measure for measure in measures_of(cells[0].scale) if measure.name in _GAINS]
        for measure in measures:
            lines.append(f"{name}, {measure.title} (points), paired with {reference} by order and seed:")
            found = [
                (label, _pairs(mine, theirs, measure), _questions(records, mine, theirs, name))
                for label, mine, theirs in _groups(cells, reference)
            ]
            asked = asked or any(questions for _, _, questions in found)
            for label, pairs, questions in found:
                decided = [_look(pairs, looks), questions]
                lines += [f"  {line}" for line in _said(label, power_of_pairs(pairs, target, looks), decided)]
            if not found:
                lines.append(f"  no method shares an order and a seed with {reference}")
    if not any(line.startswith("  ") for line in lines):
        lines.append("no metric here has gains over experts: set evaluation.experts to compare by them")
    level = (
        f"two-sided t test at 5 % (each of {looks} looks at {5 / looks:.2g} %)"
        if looks > 1
        else "two-sided t test at 5 %"
    )
    lines.append(f"power 80 %, {level}; in brackets the same at the ends of the 95 % interval of the deviation")
    if not asked:
        lines.append("differences by question are left out: these records hold no questions")
    return lines


def _groups(cells: Sequence[Observation], reference: str) -> list[tuple[str, list[Observation], list[Observation]]]:
    """Each method at each model and budget, with the cells of the reference at the same; both sorted by pairing."""
    groups: dict[tuple[str, str, BudgetKey | None], list[Observation]] = {}
    for cell in cells:
        groups.setdefault((cell.model, cell.method, cell.budget), []).append(cell)
    found = []
    for (model, method, budget), mine in groups.items():
        others = [
            one for (m, name, b), one in groups.items() if (m, name) == (model, reference) and budget in (None, b)
        ]
        for theirs in others if method != reference else []:
            by_pairing = {cell.pairing: cell for cell in theirs}
            both = [(cell, by_pairing[cell.pairing]) for cell in mine if cell.pairing in by_pairing]
            kind, value = theirs[0].budget or ("", 0.0)
            label = f"{method}, {kind} {value:g}" if kind else method
            if both:
                found.append((label, [one for one, _ in both], [other for _, other in both]))
    return found


def _pairs(mine: Sequence[Observation], theirs: Sequence[Observation], measure: Measure) -> list[float]:
    values = [
        (one.measures[measure.name], other.measures[measure.name]) for one, other in zip(mine, theirs, strict=True)
    ]
    return [round(a - b, 9) for a, b in values if a is not None and b is not None]


def _questions(
    records: Sequence[Mapping[str, Any]], mine: Sequence[Observation], theirs: Sequence[Observation], metric: str
) -> str:
    """The difference by question in words; empty where the records hold none."""
    found = nested_bootstrap(
        [
            differences_of(_of(records, one), _of(records, other), metric)
            for one, other in zip(mine, theirs, strict=True)
        ]
    )
    if found is None:
        return ""
    low, high = found.interval.low, found.interval.high
    unit, digits = ("points", 1) if mine[0].scale.better == "higher" else ("nats", 4)
    return (
        f"by {found.questions} questions: {found.mean:+.{digits}f} {unit} "
        f"(95 % {low:+.{digits}f} to {high:+.{digits}f})"
    )


def _look(pairs: Sequence[float], looks: int) -> str:
    """The mean's intervals at the level that one of several looks tests at; empty where there is one look."""
    level = 1 - ALPHA / looks
    t, bootstrap = t_interval(pairs, level), bootstrap_interval(pairs, level=level)
    if looks == 1 or t is None or bootstrap is None:
        return ""
    return (
        f"at this look's level, {100 * level:.4g} %: {t.low:+.1f} to {t.high:+.1f} (t), "
        f"{bootstrap.low:+.1f} to {bootstrap.high:+.1f} (bootstrap)"
    )


def _of(records: Sequence[Mapping[str, Any]], cell: Observation) -> Mapping[str, Any]:
    wanted = (cell.method, cell.order, cell.seed, cell.model, cell.budget)
    for record in records:
        one = record["cell"]
        budget = [(kind, float(value)) for kind, value in (one["budget"] or {}).items() if value is not None]
        if (one["method"], one["order"], one["seed"], one["model"], budget[0] if budget else None) == wanted:
            return record
    raise LookupError(wanted)


def _said(label: str, power: Power, more: Sequence[str]) -> list[str]:
    if power.mean is None:
        return [f"{label}: the measure is undefined in every pair"]
    pairs = f"{power.n} pair{'s' if power.n > 1 else ''}"
    if power.sd is None or power.sd_range is None or power.detectable_range is None or power.needed_range is None:
        said = [f"{label}: {power.mean:+.1f} of {pairs}; power needs two or more"]
    elif power.sd == 0:
        said = [f"{label}: {power.mean:+.1f} in each of {pairs}; how far others would scatter can't be told from them"]
    else:
        low, high = power.sd_range
        near, far = power.detectable_range
        few, many = power.needed_range
        said = [
            f"{label}: {power.mean:+.1f}, deviation {power.sd:.1f} ({low:.1f} to {high:.1f}) of {pairs}",
            f"  {pairs} can show {power.detectable:.1f} ({near:.1f} to {far:.1f}); "
            f"{power.target:g} points would take {_count(power.needed)} pairs ({_count(few)} to {_count(many)})",
        ]
    return [*said, *(f"  {line}" for line in more if line)]


def _count(pairs: int | None) -> str:
    return "over 100,000" if pairs is None else f"{pairs:,}"
