"""A method beside the reference: paired differences with a verdict, and whether both cost the same."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from inscl.bench.numbers.intervals import Estimate, estimate
from inscl.bench.numbers.observations import Observation

__all__ = [
    "ABOVE",
    "BELOW",
    "MATCHED_WITHIN",
    "NOT_COMPARED",
    "NO_DIFFERENCE",
    "REFERENCE",
    "CostMean",
    "Difference",
    "Noise",
    "cost_mean",
    "noise_floor",
    "paired_difference",
    "verdict",
]

ABOVE, BELOW, NO_DIFFERENCE = "above", "below", "no difference shown"
NOT_COMPARED, REFERENCE = "not compared", "reference"

MATCHED_WITHIN = 1.0
"""Costs that differ by no more than this in every pair, in percent, count as matched."""


@dataclass(frozen=True)
class Difference:
    """A method minus the reference, in points; `estimate.n` is the number of pairs."""

    estimate: Estimate
    verdict: str


@dataclass(frozen=True)
class CostMean:
    """What a method's cells took.

    Attributes:
        mean: Over the cells where it was recorded; None if nowhere.
        against: How much more than the reference's cells, percent of theirs, over the pairs that recorded it; negative
            for less, None without such a pair or where the reference took nothing.
        largest: The same of the pair that is furthest apart; infinite where the reference took nothing in a pair and
            this something.
    """

    mean: float | None
    against: float | None
    largest: float | None

    @property
    def matched(self) -> bool | None:
        """Whether every pair is within `MATCHED_WITHIN` percent, since more here and less there is no match.

        None where that isn't known.
        """
        return None if self.largest is None else abs(self.largest) <= MATCHED_WITHIN


@dataclass(frozen=True)
class Noise:
    """How far apart cells are that differ in the seed alone: mean absolute difference, and number of distinct pairs."""

    mean: float | None
    pairs: int


def verdict(difference: Estimate) -> str:
    """The difference in words.

    "above" and "below" only where the bootstrap's interval and the t interval both exclude 0: of a few pairs the
    bootstrap is too narrow. "no difference shown" is not "equal". A single pair has no interval and shows nothing, nor
    do pairs that all differ by the same: how far others would scatter can't be estimated from them, and an interval
    without width is no evidence of none.
    """
    if difference.mean is None:
        return NOT_COMPARED
    intervals = (difference.bootstrap, difference.t)
    if any(interval is None or not interval.excludes_zero for interval in intervals):
        return NO_DIFFERENCE
    if difference.t is not None and difference.t.low == difference.t.high:
        return NO_DIFFERENCE
    return ABOVE if difference.mean > 0 else BELOW


def paired_difference(
    cells: Sequence[Observation], reference: Sequence[Observation], measure: str, resamples: int
) -> Difference:
    """Method minus reference over the (order, seed) pairs that both have and where both are defined.

    Args:
        cells: Of the method, at one model and budget.
        reference: Of the reference, at the same.
        measure: Name of the measure.
        resamples: Of the bootstrap.
    """
    values: list[float | None] = []
    for mine, theirs in _pairs(cells, reference):
        first, second = mine.measures[measure], theirs.measures[measure]
        # Rounded, so that what floating point leaves of equal scores isn't taken for a steady difference.
        values.append(None if first is None or second is None else round(first - second, 9))
    found = estimate(values, resamples)
    return Difference(found, verdict(found))


def cost_mean(cells: Sequence[Observation], reference: Sequence[Observation], name: str) -> CostMean:
    """The mean of one cost, and how it stands to the reference's over the same (order, seed) pairs."""
    known = [cost for cell in cells if (cost := cell.cost[name]) is not None]
    mean = sum(known) / len(known) if known else None
    both = [(mine.cost[name], theirs.cost[name]) for mine, theirs in _pairs(cells, reference)]
    pairs = [(first, second) for first, second in both if first is not None and second is not None]
    base = sum(second for _, second in pairs)
    if not base:
        return CostMean(mean, None, None)
    largest = max((_percent(first, second) for first, second in pairs), key=abs)
    return CostMean(mean, _percent(sum(first for first, _ in pairs), base), largest)


def _percent(mine: float, theirs: float) -> float:
    if not theirs:
        return math.inf if mine else 0.0
    return 100 * (mine - theirs) / theirs


def noise_floor(observations: Sequence[Observation], measure: str) -> Noise:
    """Mean absolute difference of all pairs of cells that differ in the seed alone.

    Pairs share model, method, budget, order and tasks; they are pooled over all of these. A pair whose scores another
    method has to the last digit, as one that made the same plans does, is counted once: it is the same chance. A seed
    also draws the examples of a stream that is sampled, train and test, so that the floor holds that too. Of normal
    noise with standard deviation s it is 2 s / sqrt(pi), about 1.13 s (recalled). A difference below it says little.
    """
    groups: dict[tuple[object, ...], list[Observation]] = {}
    for cell in observations:
        if cell.measures[measure] is not None:
            groups.setdefault((cell.model, cell.method, cell.budget, cell.order, cell.tasks), []).append(cell)
    gaps: dict[tuple[object, ...], float] = {}
    for group in groups.values():
        for first, second in combinations(sorted(group, key=lambda cell: cell.seed), 2):
            # The number itself too: general delta rests on scores that are not in the matrix.
            same = tuple(
                (cell.seed, cell.stream, cell.scores, cell.experts, cell.measures[measure]) for cell in (first, second)
            )
            gaps[(first.model, first.order, first.tasks, same)] = _gap(first, second, measure)
    return Noise(sum(gaps.values()) / len(gaps) if gaps else None, len(gaps))


def _gap(first: Observation, second: Observation, measure: str) -> float:
    one, other = first.measures[measure], second.measures[measure]
    return abs(one - other) if one is not None and other is not None else 0.0


def _pairs(cells: Sequence[Observation], reference: Sequence[Observation]) -> list[tuple[Observation, Observation]]:
    others = {cell.pairing: cell for cell in reference}
    return [(cell, others[cell.pairing]) for cell in cells if cell.pairing in others]
