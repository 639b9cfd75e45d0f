"""Numbers with their standard errors: what measures of a task are made from."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from statistics import fmean, stdev

from inscl.contract.answer import LogLikelihood
from inscl.contract.measured import Asked, Measured, Undefined

__all__ = ["ChoiceMean", "TokenRatio", "chosen_labels", "mean_of", "ratio_of"]


class TokenRatio(ABC):
    """A measure of likelihoods: a number of each first reference, summed over the task, for each of its tokens.

    A long answer counts more than a short one. A class of this kind declares ``traits``.
    """

    def __call__(self, rows: Sequence[Asked]) -> Measured | Undefined:
        """Measure a task, with the standard error of a ratio."""
        found = [row.likelihood for row in rows if row.likelihood is not None]
        if len(found) < len(rows):
            return Undefined("likelihoods of its references are missing")
        counted = [number for one in found if (number := self.of(one)) is not None]
        if len(counted) < len(found):
            return Undefined("the learner doesn't count the tokens that it has right")
        return ratio_of(counted, [one.tokens for one in found])

    @abstractmethod
    def of(self, likelihood: LogLikelihood) -> float | None:
        """The number of one reference; None where the learner doesn't tell it."""


class ChoiceMean(ABC):
    """A measure of choices: the mean of a number of each question. A class of this kind declares ``traits``."""

    def __call__(self, rows: Sequence[Asked]) -> Measured | Undefined:
        """Measure a task, with the standard error of a mean."""
        found = chosen_labels(rows)
        return found if isinstance(found, Undefined) else mean_of([self.of(*one) for one in found])

    @abstractmethod
    def of(self, log_probabilities: tuple[float, ...], right: tuple[int, ...]) -> float:
        """The number of one question, of whose options those at `right` are right; usually one."""


def mean_of(values: Sequence[float]) -> Measured:
    """The mean of at least one value; standard error: the sample's deviation (n - 1) over the root of n."""
    error = stdev(values) / math.sqrt(len(values)) if len(values) > 1 else None
    return Measured(fmean(values), error, len(values), tuple(values))


def ratio_of(numerators: Sequence[float], denominators: Sequence[float]) -> Measured:
    r"""A ratio of sums over rows, as nats over tokens; a row's own value is its own ratio.

    .. math:: r = \frac{\sum_i x_i}{\sum_i t_i}, \qquad
        \mathrm{SE} = \frac{\sqrt{\frac{n}{n-1} \sum_i (x_i - r t_i)^2}}{\sum_i t_i}

    Cochran, Sampling Techniques (1977), section 2.11: rows are sampled, not tokens.

    Args:
        numerators: Shape (n,), n at least 1.
        denominators: Shape (n,), positive.
    """
    n, total = len(numerators), math.fsum(denominators)
    ratio = math.fsum(numerators) / total
    rows = list(zip(numerators, denominators, strict=True))
    squares = math.fsum((x - ratio * t) ** 2 for x, t in rows)
    error = math.sqrt(n / (n - 1) * squares) / total if n > 1 else None
    return Measured(ratio, error, n, tuple(x / t for x, t in rows))


def chosen_labels(rows: Sequence[Asked]) -> list[tuple[tuple[float, ...], tuple[int, ...]]] | Undefined:
    """The log-probabilities of each row's options, and the places of the right ones: those that are references.

    Space around a reference is left aside, as it is around options when data are read.
    """
    found = []
    for row in rows:
        options, known = row.question.options, row.answer.option_log_probabilities
        if not options or known is None:
            return Undefined("questions of it have no options to choose from")
        references = {reference.strip() for reference in row.references}
        right = tuple(place for place, option in enumerate(options) if option.strip() in references)
        if not right:
            return Undefined(f"the reference of a question ({row.references[0][:40]!r}) is none of its options")
        found.append((known, right))
    return found
