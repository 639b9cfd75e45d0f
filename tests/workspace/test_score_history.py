from __future__ import annotations

from inscl.contract.scale import PERCENT, Scale
from inscl.workspace.score_history import Histories, ScoreHistory, continued

SCALES = {"exact_match": PERCENT, "answer_loss": Scale("nats", "lower")}


def scores(**means: float) -> dict[str, dict[str, dict[str, float]]]:
    return {task: {"exact_match": {"mean": mean}} for task, mean in means.items()}


def test_first_best_and_last_are_carried_along() -> None:
    after = continued({}, 1, scores(a=50), SCALES)
    after = continued(after, 2, scores(a=70, b=10), SCALES)
    after = continued(after, 3, scores(a=60, b=10), SCALES)
    after = continued(after, 4, scores(b=20), SCALES)
    assert after["a"]["exact_match"] == ScoreHistory(first=50, best=70, best_stage=2, now=60, now_stage=3)
    assert after["b"]["exact_match"] == ScoreHistory(first=10, best=20, best_stage=4, now=20, now_stage=4)


def test_the_best_loss_is_the_lowest() -> None:
    after: Histories = {}
    for stage, loss in enumerate((0.5, 0.3, 0.9), start=1):
        after = continued(after, stage, {"a": {"answer_loss": {"mean": loss}}}, SCALES)
    assert after["a"]["answer_loss"] == ScoreHistory(first=0.5, best=0.3, best_stage=2, now=0.9, now_stage=3)
