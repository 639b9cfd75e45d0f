"""Mean scores, worked by hand."""

import pytest

from inscl import metrics
from metrics.worked import SCORES


def test_average_performance():
    # Stage 3: (40 + 55 + 90)/3 = 185/3.  Stage 2: (60 + 50)/2 = 55.  Stage 1: 80.
    assert metrics.average_performance(SCORES) == pytest.approx(185 / 3)
    assert metrics.average_performance(SCORES, stage=2) == pytest.approx(55)
    assert metrics.average_performance(SCORES, stage=1) == pytest.approx(80)
    # (80 + 55 + 185/3)/3 = 590/9.
    assert metrics.average_incremental(SCORES) == pytest.approx(590 / 9)


def test_forward_transfer_citb():
    # B after A 24, C after B 11: (24 + 11)/2 = 17.5.
    assert metrics.forward_transfer_citb(SCORES) == pytest.approx(17.5)
