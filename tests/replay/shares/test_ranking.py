from __future__ import annotations

from inscl.contract import Example, Memory, Task
from inscl.replay import Budget
from inscl.replay.shares.ranking import take_ranked

ROWS = tuple(Example("do", "w " * n, ("x",)) for n in (8, 1, 5, 2))  # 10, 3, 7, 4 tokens
MEMORY = Memory((Task("a", ROWS[:2]), Task("b", ROWS[2:])))
RANKING = [(1, 1), (0, 0), (0, 1), (1, 0)]
NEW = Task("n", ROWS)


def test_takes_the_first_of_the_ranking_over_all_tasks() -> None:
    assert take_ranked(MEMORY, NEW, Budget(total=3), RANKING) == [[0, 1], [1]]
    assert take_ranked(MEMORY, NEW, Budget(share=0.25), RANKING) == [[], [1]]
    assert take_ranked(MEMORY, NEW, Budget(per_task=0), RANKING) == [[], []]
    assert take_ranked(MEMORY, NEW, Budget(per_task=9), RANKING) == [[0, 1], [1, 0]]


def test_passes_over_what_no_longer_fits() -> None:
    assert take_ranked(MEMORY, NEW, Budget(tokens=13), RANKING) == [[1], [1]]
    assert take_ranked(MEMORY, NEW, Budget(tokens=14), RANKING) == [[0], [1]]
    assert take_ranked(MEMORY, NEW, Budget(tokens=24), RANKING) == [[0, 1], [1, 0]]
