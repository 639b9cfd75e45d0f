"""Transfer, forgetting, intransigence and general delta, worked by hand, of scores and of losses."""

import numpy as np
import pytest

from inscl import metrics
from metrics.worked import EXPERTS, SCORES

nan = float("nan")


def test_transfer():
    # Backward: ((40 - 80) + (55 - 50))/2 = -17.5.
    assert metrics.backward_transfer(SCORES) == pytest.approx(-17.5)
    # Forward: B after A 24 - 20 = 4, C after B 11 - 5 = 6; mean 5.
    assert metrics.forward_transfer(SCORES) == pytest.approx(5)


def test_forgetting_looks_for_the_best_from_the_learning_stage_on():
    # A: max(80, 60) - 40 = 40.  B: 50 - 55 = -5.  Mean 17.5.
    assert metrics.forgetting(SCORES) == pytest.approx(17.5)
    later = SCORES.copy()
    later[2, 0] = 85  # A was best one stage after it was learned: ((85 - 40) + (-5))/2 = 20
    assert metrics.forgetting(later) == pytest.approx(20)
    before = SCORES.copy()
    before[0, 0] = before[1, 1] = 99  # what a task scored before it was learned doesn't count
    assert metrics.forgetting(before) == pytest.approx(17.5)


def test_intransigence():
    # ((100 - 80) + (50 - 50) + (80 - 90))/3 = 10/3.
    assert metrics.intransigence(SCORES, EXPERTS) == pytest.approx(10 / 3)


def test_general_delta():
    # Two benchmarks over two stages: stage 2: ((30 - 40) + (70 - 60))/2 = 0, stage 1: ((35 - 40) + (50 - 60))/2 = -7.5.
    general = [[40, 60], [35, 50], [30, 70]]
    assert metrics.general_delta(general) == 0
    assert metrics.general_delta(general, stage=1) == pytest.approx(-7.5)
    assert np.isnan(metrics.general_delta([[40, nan], [35, 50]]))
    # Of losses, less is better: stage 1: ((40 - 35) + (60 - 50))/2 = 7.5.
    assert metrics.general_delta(general, stage=1, better="lower") == pytest.approx(7.5)


def test_signs_of_a_loss_that_grew():
    # A is learned to 0.5 and rises to 2.0; B to 0.4. The base model had 3.0 and 2.5, after A it had 1.5 on B.
    losses, experts = [[3.0, 2.5], [0.5, 1.5], [2.0, 0.4]], [0.5, 0.3]
    assert metrics.forgetting(losses, "lower") == pytest.approx(1.5)
    assert metrics.backward_transfer(losses, "lower") == pytest.approx(-1.5)
    assert metrics.forward_transfer(losses, "lower") == pytest.approx(1.0)
    assert metrics.intransigence(losses, experts, "lower") == pytest.approx(0.05)
    assert metrics.general_delta([[2.0], [2.5]], better="lower") == pytest.approx(-0.5)
