from __future__ import annotations

import pytest

from inscl.storage.run.ledger import Cost
from inscl.workspace.estimates import speeds


def test_speed_is_that_of_the_last_three_stages_that_were_measured() -> None:
    costs = [
        Cost(tokens=1, train=1000.0, asked=1, evaluate=1000.0),
        Cost(tokens=100, train=1.0, asked=10, evaluate=5.0),
        Cost(),
        Cost(tokens=200, train=3.0, asked=10, evaluate=1.0),
        Cost(tokens=100, train=4.0, asked=0),
    ]
    assert speeds(costs) == (pytest.approx(8 / 400), pytest.approx(6 / 20))
    assert speeds([]) == (None, None)
