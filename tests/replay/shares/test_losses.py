from __future__ import annotations

import numpy as np
import pytest

from inscl.contract import Example
from inscl.errors import ConfigError, ModelError
from inscl.replay.shares.losses import checked_losses

ROWS = [Example("Say", str(k), ("x",)) for k in range(3)]


def test_losses_come_back_in_order() -> None:
    found = checked_losses(lambda rows: np.array([float(row.input) for row in rows], dtype=np.float32), "job", ROWS)
    assert (found.tolist(), found.dtype) == ([0.0, 1.0, 2.0], np.float64)


def test_another_number_and_numbers_that_are_none_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"must return shape \(3,\), got \(2,\)"):
        checked_losses(lambda rows: np.zeros(2), "job", ROWS)
    for wrong in (np.nan, np.inf):
        with pytest.raises(ModelError, match="task 'job' is not a finite number"):
            checked_losses(lambda rows, wrong=wrong: np.array([0.0, wrong, 0.0]), "job", ROWS)
