from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize

from inscl.contract import Example, Memory, Task
from inscl.contract.plan import PastStage, Pick, ReplayPlan, TaskShare
from inscl.replay.shares.forgetting import (
    Rises,
    additive,
    limited,
    rank_one,
    rises_ahead,
    rises_of_probes,
    rises_of_visits,
    steadied,
)

RNG = np.random.default_rng(5)


def some(stages: int, tasks: int) -> Rises:
    rows = RNG.integers(0, 5, (stages, tasks)).astype(float)
    return Rises(np.where(rows > 0, RNG.normal(1, 1, (stages, tasks)), np.nan), rows)


def test_the_additive_model_is_the_least_of_its_penalised_squares() -> None:
    for stages, tasks in ((1, 3), (4, 5)):
        rises, shrink = some(stages, tasks), 2.5

        def loss(x: np.ndarray, rises: Rises = rises, stages: int = stages) -> float:
            a, b = x[1 : 1 + stages], x[1 + stages :]
            error = np.nan_to_num(rises.mean) - (x[0] + a[:, None] + b)
            return float((rises.rows * error**2).sum() + 2.5 * ((a**2).sum() + (b**2).sum()))

        best = minimize(loss, np.zeros(1 + stages + tasks), method="BFGS", options={"gtol": 1e-9}).x
        assert additive(rises, shrink) == pytest.approx(best[0] + best[stages] + best[1 + stages :], abs=1e-5)


def test_the_rank_one_model_finds_a_product_and_fills_its_gaps() -> None:
    u, v = np.array([1.0, 0.6, 1.4, 1.0]), np.array([0.2, 1.0, 3.0, 0.5])
    rows = np.full((4, 4), 6.0)
    rows[3, 2] = rows[1, 0] = 0
    found = rank_one(Rises(np.where(rows > 0, np.outer(u, v), np.nan), rows), shrink=1e-6)
    assert found == pytest.approx(u[3] * v, rel=1e-3)


@pytest.mark.parametrize("model", [additive, rank_one])
def test_of_a_task_that_was_never_measured_the_middle_is_believed(model: object) -> None:
    mean = np.array([[1.0, 3.0, np.nan], [1.0, 3.0, np.nan]])
    rises = Rises(mean, np.where(np.isnan(mean), 0.0, 10.0))
    first, second, unknown = model(rises, 1.0)  # type: ignore[operator]
    assert first < unknown < second
    assert unknown == pytest.approx(2, abs=0.1)
    nothing = Rises(np.full((1, 3), np.nan), np.zeros((1, 3)))
    assert model(nothing, 1.0).tolist() == [0, 0, 0]  # type: ignore[operator]


def test_many_rows_are_believed_and_few_are_drawn_to_the_prediction() -> None:
    mean = np.array([[0.0, 0.0, 6.0]])
    few, many = (steadied(Rises(mean, np.full((1, 3), rows)), "additive", 4.0) for rows in (1.0, 1000.0))
    assert many == pytest.approx(mean[0], abs=0.05)
    assert 0 < few[0] < few[2] < 5


def test_visits_count_from_the_last_one_before() -> None:
    one, two, new = (Example("do", name, ("x",)) for name in ("one", "two", "new"))
    memory = Memory((Task("a", (one, two)), Task("b", (new,))))

    def stage(losses: dict[Example, tuple[float, float]], *picks: Example) -> PastStage:
        chosen = tuple(Pick(example, "a", len(picks)) for example in picks)
        return PastStage(ReplayPlan("n", "s", chosen), {example.id: pair for example, pair in losses.items()})

    past = (
        stage({one: (3.0, 1.0), two: (3.0, 2.0)}),
        stage({one: (1.5, 0.5), new: (4.0, 1.0)}, one),
        stage({one: (2.5, 0.2), two: (2.5, 2.0)}, one, two),
    )
    rises = rises_of_visits(Memory(memory.tasks, past=past))
    assert rises.rows.tolist() == [[0, 0], [1, 0], [2, 0]]
    assert rises.mean[1:, 0].tolist() == pytest.approx([0.5, (2.0 + 0.5) / 2])
    assert np.isnan(rises.mean[:, 1]).all()
    assert rises_of_visits(memory).rows.tolist() == [[0, 0]]


def test_probes_count_from_the_first_time() -> None:
    tasks = tuple(Task(name, (Example("do", name, ("x",)),)) for name in "ab")

    def planned(**losses: float) -> PastStage:
        shares = (TaskShare(name, 1, 0, 1.0, reason={"probe_loss": x, "probes": 4}) for name, x in losses.items())
        return PastStage(ReplayPlan("n", "s", shares=tuple(shares)))

    memory = Memory(tasks, past=(PastStage(ReplayPlan.nothing("a")), planned(a=1.0), planned(a=1.5)))
    rises = rises_of_probes(memory, {"a": (1.25, 4), "b": (2.0, 3)})
    assert rises.rows.tolist() == [[0, 0], [0, 0], [4, 0], [4, 0]]
    assert rises.mean[2:, 0].tolist() == [0.5, 0.25]


def test_what_was_measured_ahead_of_each_stage_stands_in_its_plan() -> None:
    tasks = tuple(Task(name, (Example("do", name, ("x",)),)) for name in "ab")
    shares = (TaskShare("a", 1, 0, 1.0, reason={"rise": 0.5, "rows": 4}), TaskShare("c", 1, 0, 1.0))
    past = (PastStage(ReplayPlan.nothing("a")), PastStage(ReplayPlan("b", "measured", shares=shares)))
    rises = rises_ahead(Memory(tasks, past=past), {"a": (-0.25, 4), "b": (2.0, 3)})
    assert rises.rows.tolist() == [[0, 0], [4, 0], [4, 3]]
    assert rises.mean[1:, 0].tolist() == [0.5, -0.25]
    assert rises.mean[2, 1] == 2.0


def test_shares_are_limited_and_still_sum_to_one() -> None:
    assert limited([0.9, 0.06, 0.04], 2) == pytest.approx([2 / 3, 0.2, 2 / 15])
    assert limited([1.0, 0.0, 0.0, 0.0], 1) == pytest.approx([0.25] * 4)
    assert limited([1.0, 0.0, 0.0, 0.0], 2) == pytest.approx([0.5] + [1 / 6] * 3)
    assert limited([0.3, 0.7], 3) == pytest.approx([0.3, 0.7])
    for _ in range(200):
        shares = RNG.dirichlet(np.full(6, 0.2))
        found = limited(shares, 1.5)
        assert found.sum() == pytest.approx(1)
        assert found.max() <= 1.5 / 6 + 1e-9
