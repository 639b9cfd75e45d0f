from __future__ import annotations

import numpy as np

from inscl.contract import Memory, Task
from inscl.replay import Budget
from inscl.replay.equal_shares import plan_positions, select_equal_shares
from inscl.replay.random import RandomReplay
from inscl.replay.shares.selection import select_uniformly
from inscl.testing import made_task

MEMORY = Memory((made_task("a", 30), made_task("b", 30), made_task("c", 2), made_task("d", 4)))
NEW = made_task("n", 20)


def test_with_uniform_choice_it_is_random_replay() -> None:
    for budget in (Budget(per_task=6), Budget(total=17), Budget(share=0.5), Budget(tokens=120), Budget(total=999)):
        rng = np.random.default_rng(4)
        found = select_equal_shares(MEMORY, NEW, budget, lambda task, n: select_uniformly(task, n, rng), rng)  # noqa: B023
        made = plan_positions("random", MEMORY, NEW, budget, found)
        expected = RandomReplay().plan(MEMORY, NEW, budget, np.random.default_rng(4))
        assert made.picks == expected.picks
        assert made.shares == expected.shares


def test_select_is_asked_for_no_more_than_a_task_has() -> None:
    asked: dict[str, int] = {}

    def select(task: Task, count: int) -> list[int]:
        asked[task.name] = count
        return list(range(count))

    select_equal_shares(MEMORY, NEW, Budget(per_task=6), select, np.random.default_rng(0))
    assert asked == {"a": 9, "b": 9, "c": 2, "d": 4}
    asked.clear()
    select_equal_shares(MEMORY, NEW, Budget(total=0), select, np.random.default_rng(0))
    assert asked == {}


def test_a_plan_carries_weights_parameters_and_notes() -> None:
    made = plan_positions(
        "mine", MEMORY, NEW, Budget(total=99), [[2, 0], [], [1], []], weights=[1, 2, 3, 4],
        parameters={"k": 1}, notes=["said"],
    )  # fmt: skip
    assert [pick.example for pick in made.picks] == [MEMORY.tasks[0].train[k] for k in (2, 0)] + [
        MEMORY.tasks[2].train[1]
    ]
    assert [share.weight for share in made.shares] == [1, 2, 3, 4]
    assert made.parameters == {"k": 1}
    assert made.notes == ("said", "the budget asks for 99 examples and the memory holds 66")
