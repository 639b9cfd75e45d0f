from __future__ import annotations

import numpy as np
import pytest

from inscl.contract import Example, Memory, Task
from inscl.errors import ConfigError
from inscl.replay import Budget
from inscl.replay.prototype_data import PrototypeData
from inscl.testing import made_task

NEW = made_task("new", 5)


def by_input(texts: list[str]) -> np.ndarray:
    """Prompts end in their own coordinates, as in ``sort;0.1,9.7``."""
    return np.array([[float(x) for x in text.rsplit(";", 1)[1].split(",")] for text in texts], dtype=np.float32)


def never(texts: list[str]) -> np.ndarray:
    raise AssertionError(f"embedded {len(texts)} texts")


def scattered(name: str, sizes: tuple[int, ...], seed: int) -> tuple[Task, list[int], np.ndarray]:
    rng = np.random.default_rng(seed)
    owner = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
    points = 10 * np.eye(len(sizes))[owner] + rng.normal(0, 0.5, (len(owner), len(sizes)))
    rows = [Example("sort", ";" + ",".join(map(repr, map(float, row))), (str(k),)) for k, row in enumerate(points)]
    return Task(name, tuple(rows)), owner.tolist(), points.astype(np.float32).astype(float)


def test_takes_the_example_nearest_each_centre() -> None:
    tasks = [scattered("a", (7, 4, 9, 2), 1), scattered("b", (3, 8, 5, 4), 2)]
    memory = Memory(tuple(task for task, _, _ in tasks))
    plan = PrototypeData(by_input).plan(memory, NEW, Budget(per_task=4), np.random.default_rng(0))
    for task, owner, points in tasks:
        expected = set()
        for blob in range(4):
            members = [k for k, o in enumerate(owner) if o == blob]
            centre = points[members].mean(axis=0)
            angles = {k: float(points[k] @ centre / np.linalg.norm(points[k])) for k in members}
            expected.add(task.train[max(angles, key=angles.__getitem__)].id)
        assert {pick.example.id for pick in plan.picks if pick.task == task.name} == expected
    assert plan.notes == ()


def test_equal_prompts_are_filled_up_and_the_plan_says_so() -> None:
    rows = [Example("sort", f";{k % 2},{1 - k % 2}", (str(k),)) for k in range(12)]
    plan = PrototypeData(by_input).plan(
        Memory((Task("a", tuple(rows)),)), NEW, Budget(total=5), np.random.default_rng(0)
    )
    assert len({pick.example.id for pick in plan.picks}) == 5
    # The two prototypes come first, one of each prompt.
    assert {pick.example.prompt for pick in plan.picks[:2]} == {rows[0].prompt, rows[1].prompt}
    assert plan.notes == ("a: 3 random examples fill up, its prompts differ too little",)


def test_known_vectors_and_whole_tasks_are_not_embedded() -> None:
    bare = Task("bare", tuple(Example(f"say {k}", "", ("x",)) for k in range(6)))
    vectors = {f"say {k}": np.eye(3, dtype=np.float32)[k % 3] for k in range(6)}
    strategy = PrototypeData(never)
    plan = strategy.plan(Memory((bare,), vectors), NEW, Budget(total=3), np.random.default_rng(0))
    assert [pick.example.instruction for pick in plan.picks] == ["say 0", "say 1", "say 2"]
    assert len(strategy.plan(Memory((bare,)), NEW, Budget(total=9), np.random.default_rng(0)).picks) == 6
    assert strategy.plan(Memory((bare,)), NEW, Budget(total=0), np.random.default_rng(0)).picks == ()


def test_a_wrong_parameter_is_told() -> None:
    with pytest.raises(ConfigError, match="n_init"):
        PrototypeData(never, n_init=0)
