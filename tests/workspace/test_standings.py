from __future__ import annotations

from inscl.workspace.standings import Standing, carried


def scores(**means: float) -> dict[str, dict[str, dict[str, float]]]:
    return {task: {"exact_match": {"mean": mean}} for task, mean in means.items()}


def test_first_best_and_last_are_carried_along() -> None:
    after = carried({}, 1, scores(a=50))
    after = carried(after, 2, scores(a=70, b=10))
    after = carried(after, 3, scores(a=60, b=10))
    after = carried(after, 4, scores(b=20))
    assert after["a"]["exact_match"] == Standing(first=50, best=70, best_stage=2, now=60, now_stage=3)
    assert after["b"]["exact_match"] == Standing(first=10, best=20, best_stage=4, now=20, now_stage=4)
    assert after["a"]["exact_match"].lost == 10
