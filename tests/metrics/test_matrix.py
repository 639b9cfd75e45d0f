"""Scores, experts, stages and names that no metric can use."""

import numpy as np
import pytest

from inscl import metrics
from inscl.errors import ConfigError
from metrics.worked import EXPERTS, SCORES


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: metrics.forgetting(np.zeros((3, 3))), r"expected shape \(T \+ 1, T\).* got \(3, 3\)"),
        (lambda: metrics.forgetting([1, 2]), r"got \(2,\)"),
        (lambda: metrics.forgetting(np.zeros((1, 0))), r"got \(1, 0\)"),
        (lambda: metrics.forgetting([[0], [float("inf")]]), "infinite"),
        (lambda: metrics.relative_gain(SCORES, [1, 2]), r"expected 3 finite scores .* got shape \(2,\)"),
        (lambda: metrics.relative_gain(SCORES, EXPERTS, stage=1), "stage must be from 2 to 3, got 1"),
        (lambda: metrics.average_performance(SCORES, stage=4), "stage must be from 1 to 3, got 4"),
        (lambda: metrics.forgetting_rate(SCORES, task=-1), "task must be a column from 0 to 2, got -1"),
        (lambda: metrics.general_delta([1, 2]), r"expected shape \(stages \+ 1, held-out tasks\)"),
        (lambda: metrics.general_delta([[1], [2]], stage=2), "stage must be from 0 to 1"),
        (lambda: metrics.all_metrics(SCORES, tasks=["A"]), "expected 3 names, got 1"),
    ],
)
def test_what_cannot_be_used_is_refused(call, message):
    with pytest.raises(ConfigError, match=message):
        call()
