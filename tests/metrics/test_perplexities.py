"""Gains of perplexity, worked by hand."""

import numpy as np
import pytest

from inscl import metrics

nan = float("nan")


def test_a_gain_of_perplexity_by_hand():
    # A is learned to 0.5, as its expert was, and rises to 2.0: e^0.5 / e^2.0. Where it stays, nothing is forgotten.
    experts = [0.5, 0.3]
    assert metrics.perplexity_gain([[3.0, 2.5], [0.5, 1.5], [2.0, 0.4]], experts) == pytest.approx(100 * np.exp(-1.5))
    assert metrics.perplexity_gain([[3.0, 2.5], [0.5, 1.5], [0.5, 0.4]], experts) == pytest.approx(100)


def test_a_mean_of_ratios_follows_one_task_and_the_pooled_ratio_does_not():
    losses = [[nan] * 3, [1.0, nan, nan], [1.0, 1.0, nan], [0.0, 2.0, 1.0]]
    experts = [1.0, 1.0, 1.0]
    assert metrics.perplexity_gain(losses, experts) == pytest.approx(50 * (np.e + 1 / np.e))
    assert metrics.pooled_perplexity_gain(losses, experts) == pytest.approx(100)
