"""Tables, curves, costs and what was run."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pytest

from inscl.reports.costs import costs
from inscl.reports.curves import average_over_stages, forgetting_curves, gain_over_stages
from inscl.reports.instructions import planned
from inscl.reports.summary import glance, metric_rows, summary_rows
from inscl.reports.tables import allocations, distances, score_matrix, span, thinned
from inscl.storage.run.finished_run import load_run, load_runs

WriteRun = Callable[..., Path]
LOSSES = ("answer_loss", "rouge_l")


@pytest.mark.parametrize(("count", "most"), [(1, 4), (5, 5), (200, 60), (61, 60), (9, 4)])
def test_thinning_keeps_the_ends(count: int, most: int) -> None:
    kept = thinned(count, most)
    assert kept[0] == 1
    assert kept[-1] == count
    assert len(kept) <= most or count <= most
    assert kept == sorted(set(kept))


def test_the_matrix_has_base_stages_and_experts(write_run: WriteRun) -> None:
    table = score_matrix(load_run(write_run("a")), "rouge_l", 60)
    assert [row.name for row in table.rows][::6] == ["base model", "experts"]
    cell = table.rows[3].cells[0]
    assert cell is not None
    assert (cell.text, cell.step, cell.outlined) == ("84.0", 17, False)
    assert cell.detail.startswith("±7.")
    assert table.rows[1].cells[1] is None
    outlined = [(i, j) for i, row in enumerate(table.rows) for j, c in enumerate(row.cells) if c and c.outlined]
    assert outlined == [(i, i - 1) for i in range(1, 6)]


def test_the_matrix_without_experts(write_run: WriteRun) -> None:
    assert len(score_matrix(load_run(write_run("a", experts=False)), "rouge_l", 60).rows) == 6


def test_allocations_add_up(write_run: WriteRun) -> None:
    run = load_run(write_run("a"))
    table = allocations(run, 60, 10)
    assert table is not None
    assert [name for _, name in table.columns] == list(run.tasks[1:])
    assert [cell.text for cell in table.rows[-1].cells if cell] == ["10", "20", "30", "40"]
    assert [cell is None for cell in table.rows[2].cells] == [True, True, False, False]


def test_distances_only_where_they_were_measured(write_run: WriteRun) -> None:
    table = distances(load_run(write_run("a")), 60, 0.5)
    assert table is not None
    assert [cell.text for cell in table.rows[0].cells if cell] == ["0.260", "0.340", "0.420", "0.500"]
    assert distances(load_run(write_run("b", strategy="random")), 60, 0.5) is None
    assert allocations(load_run(write_run("c", strategy="none")), 60, 1) is None


def test_relative_gain_and_average(two_runs: list[Path], write_run: WriteRun) -> None:
    runs = load_runs([*two_runs, write_run("c", label="C", experts=False)])
    gain = gain_over_stages(runs, "rouge_l", 60)
    assert [line.label for line in gain] == ["InsCL", "No Replay"]
    assert list(gain[0].points) == [2, 3, 4, 5]
    average = average_over_stages(runs, "rouge_l", 60)
    assert [line.colour for line in average] == [0, 1, 2]
    assert average[1].points[2] == pytest.approx((73 + 86) / 2)


def test_curves_begin_when_the_task_was_learned(two_runs: list[Path]) -> None:
    curve = forgetting_curves(load_runs(two_runs), "rouge_l", 60)[2]
    assert list(curve.lines[1].points) == [3, 4, 5]
    assert (curve.kept[1].learned, curve.kept[1].end, curve.kept[1].change) == (85, 57, -28)


def test_costs_add_up(write_run: WriteRun) -> None:
    lines = costs(load_run(write_run("a")))
    assert sum(line.tokens or 0 for line in lines[:-1]) == lines[-1].tokens == 5 * 14_400 + 6_000
    assert lines[-1].share == pytest.approx(100 * 6_000 / 78_000)
    assert lines[-1].plan == pytest.approx(4.0)
    assert costs(load_run(write_run("b", finished=0))) == []


def test_instructions_by_information(write_run: WriteRun) -> None:
    plan = load_run(write_run("a")).stages[4].plan
    assert plan is not None
    part = planned(plan, listed=3, dots=80)[0]
    worth = [item.insinfo for item in part.listed]
    assert worth == sorted(worth, reverse=True)
    assert (len(part.listed), part.more, part.more_picked, part.picked) == (3, 4, 1, 4)
    assert part.strip.count("<circle") == 7
    assert planned(plan, 3, 5)[0].strip.count("<circle") == 5
    random = load_run(write_run("b", strategy="random")).stages[4].plan
    assert random is not None
    assert planned(random, 3, 80) == []


def test_undefined_metrics_say_why(write_run: WriteRun) -> None:
    runs = load_runs([write_run("a", experts=False), write_run("b", label="B", finished=2)])
    rows = {row.head: row.values for row in metric_rows(runs, "rouge_l")}
    assert rows["Relative Gain"] == ["undefined: the experts were not evaluated", "not computed yet"]
    assert rows["average performance"] == ["82.0", "not computed yet"]
    assert metric_rows(runs[1:], "rouge_l") == []


def test_what_differs_is_marked(two_runs: list[Path]) -> None:
    rows = {row.head: row for row in summary_rows(load_runs(two_runs))}
    assert rows["strategy"].differs
    assert not rows["seed"].differs
    assert not rows["folder"].differs
    assert rows["budget"].values[0] == "12 examples per earlier task"
    assert rows["data"].values[0] == "office: 5 tasks, 1,200 train and 120 test examples"
    assert "torch 2.13.0" in rows["software"].values[0]
    assert "peft" not in rows["software"].values[0]


def test_the_glance(two_runs: list[Path]) -> None:
    runs = load_runs(two_runs)
    rows = {row.head: row.values for row in glance(runs, "rouge_l", [costs(run) for run in runs])}
    assert rows["Relative Gain"] == ["88.9", "54.9"]
    assert rows["replay"] == ["7.7\u00a0%", "0.0\u00a0%"]
    assert list(rows) == ["Relative Gain", "average performance", "forgetting", "replay", "training"]


def test_a_loss_is_the_darker_the_lower_and_has_three_decimals(write_run: WriteRun) -> None:
    runs = load_runs([write_run("a", metrics=LOSSES), write_run("b", metrics=LOSSES, label="B", loss=14)])
    worst, best = span(runs, "answer_loss")
    assert worst > best == pytest.approx((100 - 92) / 40)
    table = score_matrix(runs[0], "answer_loss", 60, ends=(worst, best))
    base, learned, expert = table.rows[0].cells[0], table.rows[1].cells[0], table.rows[-1].cells[0]
    assert base is not None
    assert learned is not None
    assert expert is not None
    assert base.step < learned.step < expert.step == 20
    assert (learned.text, learned.detail) == ("0.325", "±0.050")
    # Both runs share one scale: what No Replay lost is lighter than anything that InsCL kept.
    other = score_matrix(runs[1], "answer_loss", 60, ends=(worst, best)).rows[5].cells[0]
    assert other is not None
    assert other.step < table.rows[5].cells[0].step
    assert span(runs, "rouge_l") == (0, 100)
    assert score_matrix(runs[0], "rouge_l", 60).rows[3].cells[0].text == "80.0"


def test_a_loss_that_rose_is_what_fell(write_run: WriteRun) -> None:
    runs = load_runs([write_run("a", metrics=LOSSES, loss=14)])
    curve = forgetting_curves(runs, "answer_loss", 60)[0]
    (kept,) = curve.kept
    assert kept.change == pytest.approx(4 * 14 / 40)
    assert (kept.fell, kept.rose) == (True, True)
    assert forgetting_curves(runs, "answer_loss", 60)[4].kept[0].fell is False
    assert "1.725" in curve.chart
    by_rouge = forgetting_curves(runs, "rouge_l", 60)[0].kept[0]
    assert (by_rouge.fell, by_rouge.rose) == (True, False)


def test_a_loss_has_the_gain_of_perplexity_in_place_of_relative_gain(write_run: WriteRun) -> None:
    runs = load_runs([write_run("a", metrics=LOSSES)])
    (gain,) = gain_over_stages(runs, "answer_loss", 60)
    # The first task was learned to 87 and stands at 85.5 of 100 after stage 2; its expert at 92.
    assert gain.points[2] == pytest.approx(100 * math.exp((100 - 92) / 40 - (100 - 85.5) / 40))
    rows = {row.head: row for row in metric_rows(runs, "answer_loss")}
    assert rows["Relative Gain"].values[0].startswith("undefined")
    assert rows["average performance"].hint.endswith("lower is better")
    # Points lost 6, 4.5, 3 and 1.5, of which 40 are a nat.
    assert rows["backward transfer"].values == ["−0.094"]
    assert rows["forgetting"].values == ["0.094"]
    assert [row.head for row in glance(runs, "answer_loss", [[]])] == [
        "perplexity gain",
        "average performance",
        "forgetting",
    ]
