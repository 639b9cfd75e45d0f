"""Every metric is undefined exactly where there is a reason, and the reason names the cell in the way."""

import numpy as np
import pytest

from inscl import metrics
from inscl.contract.scale import PERCENT, Scale
from inscl.errors import ConfigError
from inscl.undefined import general_undefined_reason, p_score_undefined_reason, undefined_reason, undefined_reasons

nan = float("nan")
NATS = Scale("nats", "lower")

# T = 3. Rows: base model, after A, after B, after C. Columns: A, B, C.
SCORES = np.array([[10.0, 20.0, 5.0], [80.0, 24.0, 9.0], [60.0, 50.0, 11.0], [40.0, 55.0, 90.0]])
EXPERTS = np.array([100.0, 50.0, 80.0])


def lower_triangle():
    """What a plain run evaluates: the tasks learned so far, no base model."""
    return [[nan, nan, nan], [80, nan, nan], [60, 50, nan], [40, 55, 90]]


def test_a_plain_run_defines_everything_but_forward_transfer_and_what_needs_experts():
    block = metrics.all_metrics(lower_triangle(), tasks=["A", "B", "C"])
    assert block["forgetting"] == pytest.approx(17.5)
    assert block["backward_transfer"] == pytest.approx(-17.5)
    assert block["forward_transfer"] is None
    assert undefined_reasons(lower_triangle(), tasks=["A", "B", "C"]) == {
        "relative_gain": "the experts were not evaluated",
        "forward_transfer": "R[0][2]: task B with the base model was not evaluated",
        "forward_transfer_citb": "R[1][2]: task B after stage 1 was not evaluated",
        "intransigence": "the experts were not evaluated",
    }


FUNCTIONS = {
    "relative_gain": metrics.relative_gain,
    "forgetting_rate": lambda r, _: metrics.forgetting_rate(r),
    "average_performance": lambda r, _: metrics.average_performance(r),
    "average_incremental": lambda r, _: metrics.average_incremental(r),
    "backward_transfer": lambda r, _: metrics.backward_transfer(r),
    "forward_transfer": lambda r, _: metrics.forward_transfer(r),
    "forward_transfer_citb": lambda r, _: metrics.forward_transfer_citb(r),
    "forgetting": lambda r, _: metrics.forgetting(r),
    "intransigence": metrics.intransigence,
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_missing_or_zero_cell_makes_it_undefined_exactly_when_there_is_a_reason(name):
    defined = FUNCTIONS[name](SCORES, EXPERTS)
    assert undefined_reason(name, SCORES, EXPERTS) is None
    touched = 0
    for value in (nan, 0.0):
        for i, j in np.ndindex(SCORES.shape):
            scores = SCORES.copy()
            scores[i, j] = value
            result, reason = FUNCTIONS[name](scores, EXPERTS), undefined_reason(name, scores, EXPERTS)
            assert np.isnan(result) == (reason is not None), (name, i, j, value)
            if reason is not None:
                assert reason.startswith(f"R[{i}][{j + 1}]: task {j + 1} ")
                touched += 1
            elif value != 0:
                assert result == defined  # a cell that isn't needed changes nothing
        for j in range(3):
            experts = EXPERTS.copy()
            experts[j] = value
            result, reason = FUNCTIONS[name](SCORES, experts), undefined_reason(name, SCORES, experts)
            assert np.isnan(result) == (reason is not None), (name, "expert", j, value)
            assert reason is None or reason.startswith(f"S[{j + 1}]: the expert of task {j + 1} ")
    assert touched


def test_a_single_task():
    scores, experts = [[10], [80]], [100]
    assert metrics.average_performance(scores) == metrics.average_incremental(scores) == 80
    assert metrics.intransigence(scores, experts) == 20
    assert metrics.relative_gain_by_stage(scores, experts).shape == (0,)
    assert np.isnan(metrics.relative_gain_deviation(scores, experts))
    undefined = {"relative_gain", "forgetting_rate", "backward_transfer", "forward_transfer", "forward_transfer_citb"}
    reasons = undefined_reasons(scores, experts)
    assert set(reasons) == undefined | {"forgetting"}
    assert set(reasons.values()) == {"it needs at least two tasks"}
    for name in reasons:
        assert np.isnan(FUNCTIONS[name](scores, experts))


LOSS_FUNCTIONS = {
    **{name: function for name, function in FUNCTIONS.items() if name not in ("relative_gain", "forgetting_rate")},
    "perplexity_gain": metrics.perplexity_gain,
    "pooled_perplexity_gain": metrics.pooled_perplexity_gain,
}


@pytest.mark.parametrize("name", LOSS_FUNCTIONS)
def test_a_missing_loss_makes_it_undefined_and_a_loss_of_zero_does_not(name):
    losses, experts = SCORES / 50, EXPERTS / 100
    assert undefined_reason(name, losses, experts, scale=NATS) is None
    for i, j in np.ndindex(losses.shape):
        without, zero = losses.copy(), losses.copy()
        without[i, j], zero[i, j] = nan, 0.0
        reason = undefined_reason(name, without, experts, scale=NATS)
        assert np.isnan(LOSS_FUNCTIONS[name](without, experts)) == (reason is not None), (name, i, j)
        assert undefined_reason(name, zero, experts, scale=NATS) is None
        assert np.isfinite(LOSS_FUNCTIONS[name](zero, experts))


def test_a_share_of_what_is_better_when_lower_is_refused_with_what_to_read_instead():
    reasons = undefined_reasons(SCORES, EXPERTS, scale=NATS)
    assert set(reasons) == {"relative_gain", "forgetting_rate"}
    assert reasons["relative_gain"].endswith("has none; see perplexity_gain")
    assert reasons["forgetting_rate"].endswith("see forgetting")
    errors = undefined_reasons(SCORES, EXPERTS, scale=Scale("percent", "lower"))
    assert errors["relative_gain"].endswith("see forgetting")
    assert set(errors) == set(reasons)
    # What such scores don't have is not told as undefined, but has a reason if it is asked for.
    assert undefined_reasons(SCORES, EXPERTS, scale=PERCENT) == {}
    assert "losses in nats" in undefined_reason("perplexity_gain", SCORES, EXPERTS)
    given = metrics.all_metrics(SCORES, EXPERTS, scale=NATS)
    assert set(given) - set(metrics.all_metrics(SCORES, EXPERTS)) == {"perplexity_gain", "pooled_perplexity_gain"}


def test_there_is_no_reason_for_what_is_no_metric():
    with pytest.raises(ConfigError, match="no metric named 'gain'"):
        undefined_reason("gain", SCORES)


@pytest.mark.parametrize(
    ("general", "upper", "scale", "said"),
    [
        ([[40, 60], [30, 75]], [60, 50], PERCENT, None),
        ([[40, nan], [nan, 75]], [60, 50], PERCENT, "the held-out task G after stage 1 was not evaluated"),
        ([[40, 60], [30, 75]], [nan, nan], PERCENT, "the experts of the tasks that are held out were not evaluated"),
        ([[40, 60], [30, 75]], [60, nan], PERCENT, "the expert of the held-out task H was not evaluated"),
        ([[40, 60], [30, 75]], [0, 50], PERCENT, "the expert of the held-out task G scored 0"),
        ([[4, 6], [3, 7]], [6, 5], NATS, "the share of a score"),
    ],
)
def test_what_is_missing_of_p_score_is_told(general, upper, scale, said):
    found = p_score_undefined_reason(general, upper, ["G", "H"], scale)
    assert found is None if said is None else said in found
    assert p_score_undefined_reason(np.empty((2, 0)), [], []) == "no task is held out"


def test_what_is_missing_of_general_delta_is_told():
    said = general_undefined_reason
    assert said([[40, 60], [nan, 50], [30, 75]], ["G", "H"]) is None
    assert said([[40, nan], [nan, 75]], ["G", "H"]) == "the held-out task H with the base model was not evaluated"
    assert said([[40], [nan], [nan]], ["G"]) == "the held-out task G after stage 2 was not evaluated"


def test_a_task_that_a_metric_is_undefined_for_is_said_to_have_no_such_score():
    """As one without options, by the accuracy of choices: it was evaluated, so "not evaluated" would mislead."""
    scores = [[50, nan, nan], [80, nan, nan], [60, nan, nan], [40, nan, 90]]
    reason = undefined_reason("average_performance", scores, tasks=["A", "B", "C"])
    assert reason == "R[3][2]: task B has no such score after any stage"
