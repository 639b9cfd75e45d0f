"""Every metric against a matrix worked by hand, and against each cell that may be missing."""

import json

import numpy as np
import pytest

from inscl import metrics
from inscl.contract.scale import PERCENT, Scale
from inscl.errors import ConfigError

NATS = Scale("nats", "lower")

nan = float("nan")

# T = 3. Rows: base model, after A, after B, after C. Columns: A, B, C.
SCORES = np.array(
    [
        [10.0, 20.0, 5.0],
        [80.0, 24.0, 9.0],
        [60.0, 50.0, 11.0],
        [40.0, 55.0, 90.0],
    ]
)
EXPERTS = np.array([100.0, 50.0, 80.0])


def test_relative_gain():
    # Stage 2: 100 * 60/100 = 60.  Stage 3: 100/2 * (40/100 + 55/50) = 50 * 1.5 = 75.
    assert metrics.relative_gain(SCORES, EXPERTS, stage=2) == pytest.approx(60)
    assert metrics.relative_gain(SCORES, EXPERTS) == pytest.approx(75)
    np.testing.assert_allclose(metrics.relative_gain_by_stage(SCORES, EXPERTS), [60, 75])
    # Mean (60 + 75)/2 = 67.5, deviation sqrt((7.5^2 + 7.5^2)/2) = 7.5.
    assert metrics.relative_gain_average(SCORES, EXPERTS) == pytest.approx(67.5)
    assert metrics.relative_gain_deviation(SCORES, EXPERTS) == pytest.approx(7.5)


def test_forgetting_rate():
    # A: 100 * (80 - 40)/80 = 50.  B: 100 * (50 - 55)/50 = -10.  C: 0.  Mean without C: 20.
    np.testing.assert_allclose(metrics.forgetting_rate_by_task(SCORES), [50, -10, 0])
    assert metrics.forgetting_rate(SCORES, task=0) == pytest.approx(50)
    assert metrics.forgetting_rate(SCORES, task=1) == pytest.approx(-10)
    assert metrics.forgetting_rate(SCORES) == pytest.approx(20)


def test_average_performance():
    # Stage 3: (40 + 55 + 90)/3 = 185/3.  Stage 2: (60 + 50)/2 = 55.  Stage 1: 80.
    assert metrics.average_performance(SCORES) == pytest.approx(185 / 3)
    assert metrics.average_performance(SCORES, stage=2) == pytest.approx(55)
    assert metrics.average_performance(SCORES, stage=1) == pytest.approx(80)
    # (80 + 55 + 185/3)/3 = 590/9.
    assert metrics.average_incremental(SCORES) == pytest.approx(590 / 9)


def test_transfer():
    # Backward: ((40 - 80) + (55 - 50))/2 = -17.5.
    assert metrics.backward_transfer(SCORES) == pytest.approx(-17.5)
    # Forward: B after A 24 - 20 = 4, C after B 11 - 5 = 6; mean 5.  Without the baseline: (24 + 11)/2 = 17.5.
    assert metrics.forward_transfer(SCORES) == pytest.approx(5)
    assert metrics.forward_transfer_citb(SCORES) == pytest.approx(17.5)


def test_forgetting_looks_for_the_best_from_the_learning_stage_on():
    # A: max(80, 60) - 40 = 40.  B: 50 - 55 = -5.  Mean 17.5.
    assert metrics.forgetting(SCORES) == pytest.approx(17.5)
    later = SCORES.copy()
    later[2, 0] = 85  # A was best one stage after it was learned: ((85 - 40) + (-5))/2 = 20
    assert metrics.forgetting(later) == pytest.approx(20)
    before = SCORES.copy()
    before[0, 0] = before[1, 1] = 99  # what a task scored before it was learned doesn't count
    assert metrics.forgetting(before) == pytest.approx(17.5)


def test_intransigence():
    # ((100 - 80) + (50 - 50) + (80 - 90))/3 = 10/3.
    assert metrics.intransigence(SCORES, EXPERTS) == pytest.approx(10 / 3)


def test_general_delta():
    # Two benchmarks over two stages: stage 2: ((30 - 40) + (70 - 60))/2 = 0, stage 1: ((35 - 40) + (50 - 60))/2 = -7.5.
    general = [[40, 60], [35, 50], [30, 70]]
    assert metrics.general_delta(general) == 0
    assert metrics.general_delta(general, stage=1) == pytest.approx(-7.5)
    assert np.isnan(metrics.general_delta([[40, nan], [35, 50]]))
    # Of losses, less is better: stage 1: ((40 - 35) + (60 - 50))/2 = 7.5.
    assert metrics.general_delta(general, stage=1, better="lower") == pytest.approx(7.5)


def test_general_metrics_have_the_layout_of_the_file():
    general = [[40, 60], [nan, 50], [30, 75]]
    assert metrics.general_metrics(general, ["G", "H"]) == {
        "final": pytest.approx(2.5),
        "by_stage": {"1": None, "2": pytest.approx(2.5)},
        "by_task": {"G": pytest.approx(-10), "H": pytest.approx(15)},
    }
    assert metrics.general_metrics([[40, nan], [30, 75]], ["G", "H"], "lower") == {
        "final": None,
        "by_stage": {"1": None},
        "by_task": {"G": pytest.approx(10), "H": None},
    }


def test_all_metrics_has_the_layout_of_the_file_and_is_valid_json():
    block = metrics.all_metrics(SCORES, EXPERTS, ["A", "B", "C"])
    assert block["relative_gain"]["by_stage"] == {"2": pytest.approx(60), "3": pytest.approx(75)}
    assert block["relative_gain"]["final"] == pytest.approx(75)
    assert block["relative_gain"]["average"] == pytest.approx(67.5)
    assert block["forgetting_rate"]["by_task"] == {"A": pytest.approx(50), "B": pytest.approx(-10), "C": 0}
    assert block["forgetting_rate"]["mean"] == pytest.approx(20)
    assert len(block) == 9
    assert json.loads(json.dumps(block, allow_nan=False)) == block
    json.dumps(metrics.all_metrics([[nan], [nan]]), allow_nan=False)


def plain_run(tasks: int, rng: np.random.Generator):
    """Losses of a run with row 0 and everything evaluated, and its experts'."""
    return rng.uniform(0.2, 3.0, (tasks + 1, tasks)), rng.uniform(0.2, 1.0, tasks)


@pytest.mark.parametrize("tasks", [1, 2, 5])
def test_losses_against_loops_over_their_definitions(tasks):
    losses, experts = plain_run(tasks, np.random.default_rng(tasks))
    found = metrics.all_metrics(losses, experts, scale=NATS)
    earlier, last, own = range(tasks - 1), losses[-1], [losses[j + 1, j] for j in range(tasks)]
    assert found["average_performance"] == pytest.approx(np.mean(last))
    means = [np.mean(losses[i, :i]) for i in range(1, tasks + 1)]
    assert found["average_incremental"] == pytest.approx(np.mean(means))
    assert found["intransigence"] == pytest.approx(np.mean([own[j] - experts[j] for j in range(tasks)]))
    assert found["relative_gain"]["final"] is found["forgetting_rate"]["mean"] is None
    if tasks == 1:
        assert found["perplexity_gain"]["final"] is found["forgetting"] is None
        return
    assert found["backward_transfer"] == pytest.approx(np.mean([own[j] - last[j] for j in earlier]))
    assert found["forward_transfer"] == pytest.approx(np.mean([losses[0, j] - losses[j, j] for j in range(1, tasks)]))
    assert found["forward_transfer_citb"] == pytest.approx(np.mean([losses[j, j] for j in range(1, tasks)]))
    worse = [last[j] - min(losses[i, j] for i in range(j + 1, tasks)) for j in earlier]
    assert found["forgetting"] == pytest.approx(np.mean(worse))
    for i in range(2, tasks + 1):
        ratios = [np.exp(experts[j]) / np.exp(losses[i, j]) for j in range(i - 1)]
        assert found["perplexity_gain"]["by_stage"][str(i)] == pytest.approx(100 * np.mean(ratios))
        geometric = np.prod(ratios) ** (1 / len(ratios))
        assert found["pooled_perplexity_gain"]["by_stage"][str(i)] == pytest.approx(100 * geometric)
        assert geometric <= np.mean(ratios) + 1e-12
    assert found["perplexity_gain"]["final"] == found["perplexity_gain"]["by_stage"][str(tasks)]
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_signs_of_a_loss_that_grew():
    # A is learned to 0.5 and rises to 2.0; B to 0.4. The base model had 3.0 and 2.5, after A it had 1.5 on B.
    losses, experts = [[3.0, 2.5], [0.5, 1.5], [2.0, 0.4]], [0.5, 0.3]
    assert metrics.forgetting(losses, "lower") == pytest.approx(1.5)
    assert metrics.backward_transfer(losses, "lower") == pytest.approx(-1.5)
    assert metrics.forward_transfer(losses, "lower") == pytest.approx(1.0)
    assert metrics.intransigence(losses, experts, "lower") == pytest.approx(0.05)
    assert metrics.general_delta([[2.0], [2.5]], better="lower") == pytest.approx(-0.5)
    assert metrics.perplexity_gain(losses, experts) == pytest.approx(100 * np.exp(-1.5))
    assert metrics.perplexity_gain([[3.0, 2.5], [0.5, 1.5], [0.5, 0.4]], experts) == pytest.approx(100)


def test_a_mean_of_ratios_follows_one_task_and_the_pooled_ratio_does_not():
    losses = [[nan] * 3, [1.0, nan, nan], [1.0, 1.0, nan], [0.0, 2.0, 1.0]]
    experts = [1.0, 1.0, 1.0]
    assert metrics.perplexity_gain(losses, experts) == pytest.approx(50 * (np.e + 1 / np.e))
    assert metrics.pooled_perplexity_gain(losses, experts) == pytest.approx(100)


def test_unit_and_direction_of_each_metric():
    assert metrics.scale_of("average_performance", NATS) == NATS
    assert metrics.scale_of("forgetting", NATS) == NATS
    assert metrics.scale_of("backward_transfer", NATS) == Scale("nats", "higher")
    assert metrics.scale_of("perplexity_gain", NATS) == PERCENT
    assert metrics.scale_of("forgetting_rate", PERCENT) == Scale("percent", "lower")
    assert metrics.scale_of("average_incremental", PERCENT) == PERCENT


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
