"""Relative Gain and the forgetting rate, worked by hand."""

import numpy as np
import pytest

from inscl import metrics
from inscl.errors import ConfigError
from metrics.worked import EXPERTS, SCORES


def test_relative_gain():
    # Stage 2: 100 * 60/100 = 60.  Stage 3: 100/2 * (40/100 + 55/50) = 50 * 1.5 = 75.
    assert metrics.relative_gain(SCORES, EXPERTS, stage=2) == pytest.approx(60)
    assert metrics.relative_gain(SCORES, EXPERTS) == pytest.approx(75)
    np.testing.assert_allclose(metrics.relative_gain_by_stage(SCORES, EXPERTS), [60, 75])
    # Mean (60 + 75)/2 = 67.5, deviation sqrt((7.5^2 + 7.5^2)/2) = 7.5.
    assert metrics.relative_gain_average(SCORES, EXPERTS) == pytest.approx(67.5)
    assert metrics.relative_gain_deviation(SCORES, EXPERTS) == pytest.approx(7.5)


def test_forgetting_rate():
    # A: 100 * (80 - 40)/80 = 50.  B: 100 * (50 - 55)/50 = -10.  C: 0.  Mean without C: 20.
    np.testing.assert_allclose(metrics.forgetting_rate_by_task(SCORES), [50, -10, 0])
    assert metrics.forgetting_rate(SCORES, task=0) == pytest.approx(50)
    assert metrics.forgetting_rate(SCORES, task=1) == pytest.approx(-10)
    assert metrics.forgetting_rate(SCORES) == pytest.approx(20)


def test_p_score():
    # Base: 100/2 * (20/80 + 10/40) = 25.  Stage 2: 100/2 * (60/80 + 50/40) = 100.
    general = [[20, 10], [40, np.nan], [60, 50]]
    assert metrics.p_score(general, [80, 40], stage=0) == pytest.approx(25)
    assert metrics.p_score(general, [80, 40]) == pytest.approx(100)
    assert np.isnan(metrics.p_score(general, [80, 40], stage=1))
    assert np.isnan(metrics.p_score(general, [80, 0]))
    with pytest.raises(ConfigError, match="expected shapes"):
        metrics.p_score(general, [80])
    with pytest.raises(ConfigError, match="stage must be from 0 to 2"):
        metrics.p_score(general, [80, 40], stage=3)
