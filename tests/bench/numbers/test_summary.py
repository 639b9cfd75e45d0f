"""What the summary says, worked out by hand."""

from __future__ import annotations

import random
from typing import Any

import pytest
from scipy import stats

from bench.cells import grid, joint, record
from inscl.bench.numbers.comparison import verdict
from inscl.bench.numbers.forgotten_shares import Forgotten
from inscl.bench.numbers.intervals import Estimate, Interval
from inscl.bench.numbers.summary import Row, Summary, summarise
from inscl.errors import ConfigError, DataError


def row(summary: Summary, strategy: str, table: int = 0) -> Row:
    return next(row for row in summary.tables[table].rows if row.method == strategy)


def mean(summary: Summary, strategy: str, measure: str) -> float | None:
    return row(summary, strategy).results[measure].estimate.mean


def test_the_measures_of_a_matrix_by_hand() -> None:
    scores = [[5, 5, 5], [50, None, None], [40, 60, None], [30, 45, 70]]
    cell = record(tasks=["a", "b", "c"], scores={"rouge_l": scores}, experts={"rouge_l": [50, 60, None]})
    summary = summarise([cell])
    # Stage 2: 40/50 = 80 %. Stage 3: (30/50 + 45/60) / 2 = 67.5 %. Forgetting: (20/50 + 15/60) / 2 = 32.5 %.
    assert mean(summary, "random", "relative_gain_final") == pytest.approx(67.5)
    assert mean(summary, "random", "relative_gain_average") == pytest.approx(73.75)
    assert mean(summary, "random", "forgetting_rate") == pytest.approx(32.5)
    assert mean(summary, "random", "average_performance") == pytest.approx(145 / 3)
    assert mean(summary, "random", "backward_transfer") == pytest.approx(-17.5)


def test_stored_metrics_are_not_believed() -> None:
    summary = summarise([record(last=40.0, metrics={"relative_gain": 1.0})])
    assert mean(summary, "random", "relative_gain_final") == pytest.approx(80.0)


def test_undefined_is_never_zero() -> None:
    summary = summarise([record(last=40.0), joint(), record("inscl", 40.0), record("inscl", None, seed=1)])
    results = row(summary, "joint").results
    assert results["relative_gain_final"].estimate.mean == pytest.approx(90.0)
    for measure in ("forgetting_rate", "backward_transfer"):
        assert results[measure].estimate.mean is None
        assert results[measure].reason == "R[1][1]: task a after stage 1 was not evaluated"
        assert results[measure].difference.verdict == "not compared"
    partly = row(summary, "inscl").results["relative_gain_final"].estimate
    assert (partly.mean, partly.n, partly.undefined) == (pytest.approx(80.0), 1, 1)


def test_a_cell_without_experts_or_without_the_scorer_is_undefined() -> None:
    cells = [record(), record("inscl", experts={}), record("other", metric="exact_match")]
    summary = summarise(cells, metric="rouge_l")
    assert mean(summary, "inscl", "relative_gain_final") is None
    assert mean(summary, "inscl", "average_performance") == pytest.approx(50.0)
    assert row(summary, "other").results["average_performance"].reason == "the cell was not scored by rouge_l"


def test_a_task_whose_expert_scored_zero_is_left_out_for_every_strategy_alike() -> None:
    tasks = ["a", "b", "c"]
    scores = {"rouge_l": [[5, 5, 5], [50, None, None], [40, 60, None], [30, 45, 70]]}

    def cell(strategy: str, seed: int, expert: float) -> dict[str, Any]:
        return record(strategy, seed=seed, tasks=tasks, scores=scores, experts={"rouge_l": [50, expert, 70]})

    # inscl has an expert of its own for b, at 60; random's scored 0, so that b counts for neither at seed 0.
    cells = [cell("random", 0, 0), cell("inscl", 0, 60), cell("random", 1, 60), cell("inscl", 1, 60)]
    (table,) = summarise(cells).tables
    assert (table.left_out, table.streams) == ({"b": 1}, 2)
    for found in table.rows:
        estimate = found.results["relative_gain_final"].estimate
        # 30/50 alone, and (30/50 + 45/60) / 2.
        assert (estimate.mean, estimate.undefined) == (pytest.approx((60 + 67.5) / 2), 0)
    assert row(summarise(cells[2:]), "inscl").results["relative_gain_final"].estimate.mean == pytest.approx(67.5)
    assert summarise(cells[2:]).tables[0].left_out == {}


def test_paired_differences_by_hand() -> None:
    ours, theirs = {0: 40.0, 1: 42.0, 2: 47.0, 3: 1.0}, {0: 38.0, 1: 41.0, 2: 42.0, 9: 99.0}
    cells = [record("inscl", last, seed=seed) for seed, last in ours.items()]
    cells += [record("random", last, seed=seed) for seed, last in theirs.items()]
    found = row(summarise(cells), "inscl").results["relative_gain_final"].difference
    # Seeds 0, 1, 2 only, and twice the scores: 4, 2, 10.
    assert found.estimate.n == 3
    assert found.estimate.mean == pytest.approx(16 / 3)
    low, high = stats.t.interval(0.95, 2, 16 / 3, stats.sem([4, 2, 10]))
    assert found.estimate.t is not None
    assert (found.estimate.t.low, found.estimate.t.high) == pytest.approx((low, high))
    assert found.estimate.bootstrap == Interval(2.0, 10.0)
    # The bootstrap alone would have called it above.
    assert found.verdict == "no difference shown"


def test_another_order_or_other_data_is_no_pair() -> None:
    cells = [record("inscl"), record("random", order="reversed")]
    assert row(summarise(cells), "inscl").results["relative_gain_final"].difference.estimate.n == 0
    cells = [record("inscl", stream_fingerprint="x"), record("random", stream_fingerprint="y")]
    assert row(summarise(cells), "inscl").results["relative_gain_final"].difference.estimate.n == 0


@pytest.mark.parametrize(
    ("mean", "bootstrap", "t", "said"),
    [
        (2.0, Interval(1, 3), Interval(0.5, 4), "above"),
        (-2.0, Interval(-3, -1), Interval(-4, -0.5), "below"),
        (2.0, Interval(1, 3), Interval(-0.5, 4), "no difference shown"),
        (2.0, Interval(-1, 3), Interval(0.5, 4), "no difference shown"),
        (2.0, None, None, "no difference shown"),
        (None, None, None, "not compared"),
    ],
)
def test_the_verdict_needs_both_intervals(
    mean: float | None, bootstrap: Interval | None, t: Interval | None, said: str
) -> None:
    assert verdict(Estimate(mean, 3, bootstrap, t)) == said


def test_clear_differences_are_called_and_equal_ones_are_not() -> None:
    cells = [record("random", 30.0 + seed, seed=seed) for seed in range(4)]
    cells += [record("up", 35.0 + 1.1 * seed, seed=seed) for seed in range(4)]
    cells += [record("same", 30.0 + seed, seed=seed) for seed in range(4)]
    summary = summarise(cells)
    assert row(summary, "up").results["relative_gain_final"].difference.verdict == "above"
    assert row(summary, "up").results["forgetting_rate"].difference.verdict == "below"
    assert row(summary, "same").results["relative_gain_final"].difference.verdict == "no difference shown"
    assert row(summary, "random").results["relative_gain_final"].difference.verdict == "reference"


def test_the_noise_floor_is_of_seeds_alone() -> None:
    cells = [record("random", last, seed=seed) for seed, last in enumerate((40.0, 41.0, 43.0))]
    cells += [record("inscl", 20.0, seed=0), record("inscl", 25.0, seed=1)]
    cells += [record("inscl", 90.0, seed=2, order="reversed"), record("inscl", 0.0, seed=2, budget={"total": 4})]
    cells += [record("inscl", 70.0, seed=2, model="large"), record("random", None, seed=3)]
    noise = summarise(cells).noise["small"]
    # Pairs: 1, 3, 2 of random and 5 of inscl; twice that in percent of the expert, half of it in average performance.
    assert (noise["relative_gain_final"].mean, noise["relative_gain_final"].pairs) == (pytest.approx(5.5), 4)
    assert noise["average_performance"].mean == pytest.approx(11 / 8)
    assert noise["backward_transfer"].mean == pytest.approx(11 / 4)
    assert summarise(cells).noise["large"]["relative_gain_final"].mean is None


def test_a_strategy_without_budget_stands_in_every_table() -> None:
    summary = summarise(grid())
    assert [table.budget for table in summary.tables] == [("per_task", 2.0), ("per_task", 20.0)]
    for number in range(2):
        assert [r.label for r in summary.tables[number].rows] == ["random", "inscl", "joint (no budget)"]
    assert row(summary, "joint", 1).results["relative_gain_final"].difference.estimate.mean == pytest.approx(
        9.666, abs=1e-3
    )
    (only,) = summarise([joint()]).tables
    assert only.budget is None


def test_costs_are_matched_within_a_percent_over_pairs() -> None:
    cells = [record("random", seed=0, tokens=1000, steps=100), record("random", seed=1, tokens=3000, steps=0)]
    cells += [record("inscl", seed=0, tokens=1010, steps=80), record("inscl", seed=7, tokens=9990, steps=70)]
    cells += [record("far", seed=0, tokens=1011)]
    summary = summarise(cells)
    tokens, steps = row(summary, "inscl").costs["tokens"], row(summary, "inscl").costs["steps"]
    assert (tokens.mean, tokens.against, tokens.matched) == (5500, pytest.approx(1.0), True)
    assert (steps.mean, steps.against, steps.matched) == (75, pytest.approx(-20.0), False)
    assert row(summary, "far").costs["tokens"].matched is False
    assert row(summarise([record("inscl", seed=1)]), "inscl").costs["tokens"].matched is None


def counts(forgotten: int, unrelated: int, **looks_like: int) -> dict[str, Any]:
    related = forgotten - unrelated
    found = {"compared": 9, "forgotten": forgotten, "related": related, "unrelated": unrelated}
    return {**found, "looks_like": looks_like}


def test_forgotten_answers_are_added_up_task_by_task() -> None:
    cells = [
        record(seed=0, forgotten={"a": counts(4, 1, b=1), "b": counts(2, 2)}),
        record(seed=1, forgotten={"a": counts(1, 1, c=1)}),
        record(seed=2),
    ]
    kept, joint = record("kept", forgotten={"a": counts(0, 0)}), record("joint", forgotten={})
    summary = summarise([*cells, record("inscl"), kept, joint])
    found = row(summary, "random")
    assert found.forgotten == {
        "a": Forgotten(18, 5, 2, (("b", 1), ("c", 1))),
        "b": Forgotten(9, 2, 2),
    }
    assert found.lost == Forgotten(27, 7, 4, (("b", 1), ("c", 1)))
    assert (found.lost.related, found.lost.share_unrelated) == (3, pytest.approx(400 / 7))
    assert row(summary, "inscl").forgotten is row(summary, "joint").lost is None
    nothing = row(summary, "kept").lost
    assert nothing is not None
    assert (nothing.forgotten, nothing.share_lost, nothing.share_unrelated) == (0, 0, None)


def test_the_order_of_the_records_does_not_matter() -> None:
    cells = grid()
    shuffled = random.Random(1).sample(cells, len(cells))
    assert summarise(shuffled) == summarise(cells)


def test_what_stands_against_a_comparison_is_noted() -> None:
    other = record("inscl", hardware={"cpu": "y"})
    notes = " ".join(summarise([other, record("none")], reference="random").notes)
    assert "no cell of the reference 'random'" in notes
    assert "different hardware" in notes
    assert summarise([record(), record("inscl")]).notes == ()


def test_records_of_several_versions_are_noted() -> None:
    old, new = {"packages": {"inscl": "0.1.0"}}, {"packages": {"inscl": "0.2.0"}}
    (note,) = summarise([record(**old), record("inscl", **new), record("x")]).notes
    assert note.startswith("small: the cells were made by different versions of inscl (0.1.0, 0.2.0)")
    assert summarise([record(**old), record("inscl", **old), record("x")]).notes == ()


def test_experts_of_ones_own_are_noted() -> None:
    cells = [record(), record("same"), record("osf", experts={"rouge_l": [40.0, 70.0]}), record("without", experts={})]
    cells += [
        record(seed=1, experts={"rouge_l": [50.0, None]}),
        record("same", seed=1, experts={"rouge_l": [50.0, None]}),
    ]
    (note,) = summarise(cells).notes
    assert note.startswith("small: the experts of osf are others than those of random.")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"schema": 2}, "expected schema 1, got 2"),
        ({"scores": {"rouge_l": [[1.0, 2.0]]}}, "expected 3 rows of scores for 2 tasks, got 1"),
        ({"scores": {"rouge_l": [[1.0], [1.0], [1.0]]}}, "shape"),
        ({"cell": {"method": "x"}}, "'order' is missing"),
        ({"budget": {"per_task": 2, "total": 3}}, "a budget of one kind"),
    ],
)
def test_a_damaged_record_is_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        summarise([record(**changes)])
    assert "cell small/random/curriculum/0" in str(caught.value)


def test_what_cannot_be_summarised_is_refused() -> None:
    with pytest.raises(ConfigError, match="no cells"):
        summarise([])
    with pytest.raises(ConfigError, match="did you mean 'rouge_l'"):
        summarise([record()], metric="rouge")
    with pytest.raises(DataError, match="two records of the same cell"):
        summarise([record(), record()])


def test_budgets_on_other_seeds_are_noted() -> None:
    cells = [record(budget={"per_task": size}, seed=seed) for size, seed in ((1, 0), (1, 1), (4, 0))]
    (note,) = summarise([*cells, record("none", budget=None)]).notes
    assert "random ran on other (order, seed) pairs at one budget than at another" in note
    assert summarise([*cells, record(budget={"per_task": 4}, seed=1)]).notes == ()
    assert summarise([*cells[:2], record(budget={"tokens": 9})]).notes == ()
