"""Every metric at once: the layout of the file, and losses against loops over the definitions."""

import json

import numpy as np
import pytest

from inscl import metrics
from inscl.contract.scale import Scale
from metrics.worked import EXPERTS, SCORES

NATS = Scale("nats", "lower")
nan = float("nan")


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


def test_p_score_has_the_layout_of_the_file():
    general, upper = [[40, 60], [nan, 50], [30, 75]], [60, 50]
    assert metrics.p_score_metrics(general, upper, ["G", "H"]) == {
        "final": pytest.approx((50 + 150) / 2),
        "by_stage": {"0": pytest.approx((40 / 60 + 60 / 50) * 50), "1": None, "2": pytest.approx(100)},
        "by_task": {"G": pytest.approx(50), "H": pytest.approx(150)},
    }
    # An expert that is missing leaves its own task undefined, and the mean.
    found = metrics.p_score_metrics(general, [60, nan], ["G", "H"])
    assert found["final"] is None
    assert found["by_task"] == {"G": pytest.approx(50), "H": None}
    assert metrics.p_score_metrics(general, upper, ["G", "H"], "lower")["by_task"] == {"G": None, "H": None}
    assert metrics.p_score_metrics(np.empty((3, 0)), [], []) is None


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
