"""Records of cells, written by hand."""

from __future__ import annotations

from typing import Any


def record(
    method: str = "random",
    last: float | None = 40.0,
    *,
    seed: int = 0,
    order: str = "curriculum",
    budget: dict[str, float] | str | None = "default",
    model: str = "small",
    metric: str = "rouge_l",
    steps: int = 100,
    tokens: int = 1000,
    **fields: Any,
) -> dict[str, Any]:
    """A cell of two tasks with experts at 50 and 80.

    The first task scored 50 when learned and `last` at the end, so that final Relative Gain is 2 * last percent,
    the forgetting rate 100 - 2 * last percent, backward transfer last - 50, average performance (last + 60) / 2.
    """
    chosen = {"per_task": 2} if budget == "default" else budget
    size = "-" if chosen is None else str(chosen)
    return {
        "schema": 1,
        "key": f"{model}/{method}/{order}/{seed}/{size}",
        "cell": {"method": method, "order": order, "seed": seed, "budget": chosen, "model": model},
        "tasks": ["a", "b"],
        "metrics": {metric: {"unit": "percent", "better": "higher"}},
        "scores": {metric: [[None, None], [50.0, None], [last, 60.0]]},
        "experts": {metric: [50.0, 80.0]},
        "cost": {
            "steps": steps,
            "tokens": tokens,
            "replay_tokens": 10,
            "answer_tokens": 100,
            "examples": 50,
            "replayed": 5,
            "train_seconds": 61.0,
            "evaluate_seconds": 5.0,
            "plan_seconds": 0.5,
        },
        "answers": [[2, 0], [1, 2]],
        "hardware": {"cpu": "x"},
        "created": "2025-01-01T00:00:00Z",
        **fields,
    }


def joint(seed: int = 0) -> dict[str, Any]:
    """A cell with nothing but the last row: what was lost since learning is undefined."""
    scores = {"rouge_l": [[None, None], [None, None], [45.0, 70.0]]}
    return record("joint", seed=seed, budget=None, scores=scores)


def grid() -> list[dict[str, Any]]:
    """Two methods with two budgets, three seeds, and joint training."""
    cells = [joint(seed) for seed in range(3)]
    for size, (random, inscl) in {2: (30.0, 38.0), 20: (40.0, 42.0)}.items():
        for seed, shift in enumerate((-1.0, 0.0, 1.5)):
            budget = {"per_task": size}
            cells.append(record("random", random + shift, seed=seed, budget=budget))
            cells.append(record("inscl", inscl + 1.1 * shift, seed=seed, budget=budget, tokens=1100))
    return cells
