from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from inscl.contract import Example, Memory, Task
from inscl.errors import ConfigError, ModelError
from inscl.replay import Budget
from inscl.replay.ifd import HighestIFD
from inscl.testing import check_strategy, made_task

NEW = made_task("new", 5)
ROWS = tuple(Example("do", f"{k * 7 % 40}", (f"answer {k}",)) for k in range(40))
MEMORY = Memory((Task("a", ROWS), Task("b", ROWS[:3])))


def losses(examples: Sequence[Example]) -> np.ndarray:
    """IFD is exp((n - 30) / 10) for the number n in the input; the answer alone costs what its length says."""
    alone = np.array([len(example.output) / 7 for example in examples])
    given = [(float(one.input) - 30) / 10 if one.input else 0.0 for one in examples]
    return alone + np.array(given)


def test_the_highest_below_the_limit_are_taken_and_tell_their_ifd() -> None:
    plan = HighestIFD(losses, candidates=40).plan(MEMORY, NEW, Budget(per_task=5), np.random.default_rng(0))
    mine = [pick for pick in plan.picks if pick.task == "a"]
    assert [int(pick.example.input) for pick in mine] == [
        29,
        28,
        27,
        26,
        25,
        24,
        23,
    ]  # b has three, and a takes the rest
    assert [pick.reason["ifd"] for pick in mine] == [round(float(np.exp(-k / 10)), 4) for k in range(1, 8)]
    assert all("ifd" not in pick.reason for pick in plan.picks if pick.task == "b")  # replayed whole, never measured
    assert plan.notes[0].startswith("a: IFD of the pool's 40 examples from 0.0498 to 2.4596")
    assert plan.parameters == {"candidates": 40, "most": 1.0}
    over = HighestIFD(losses, candidates=40, most=0.06).plan(MEMORY, NEW, Budget(per_task=5), np.random.default_rng(0))
    # Two are below it; the others come after them, the highest first.
    assert [int(pick.example.input) for pick in over.picks if pick.task == "a"] == [1, 0, 39, 38, 37, 36, 35]


def test_keeps_the_contract_and_refuses_what_cannot_be() -> None:
    check_strategy(lambda: HighestIFD(losses_of_any))
    with pytest.raises(ConfigError) as told:
        HighestIFD(losses, 0, 0)
    assert {problem.key for problem in told.value.problems} == {"candidates", "most"}
    budget, rng = Budget(per_task=2), np.random.default_rng(0)
    with pytest.raises(ModelError, match="diverged"):
        HighestIFD(lambda examples: np.full(len(examples), np.nan)).plan(MEMORY, NEW, budget, rng)
    with pytest.raises(ConfigError, match="shape"):
        HighestIFD(lambda examples: np.zeros(1)).plan(MEMORY, NEW, budget, rng)


def losses_of_any(examples: Sequence[Example]) -> np.ndarray:
    return np.array([len(one.prompt) * 0.37 % 1 + len(one.output) % 3 for one in examples])
