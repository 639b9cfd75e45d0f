from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bench.cells import record
from inscl.bench.numbers.questions import differences_of, nested_bootstrap


def asked(
    scores: list[float | None], ids: str = "abcd", instructions: tuple[int, ...] = (0, 0, 1, 1)
) -> dict[str, Any]:
    return {"ids": list(ids), "instructions": list(instructions), "scores": {"rouge_l": scores}}


def test_questions_are_paired_and_grouped_by_instruction() -> None:
    mine = record("inscl", questions={"a": asked([1.0, 0.5, 0.0, None]), "b": asked([1.0] * 4)})
    theirs = record(questions={"a": asked([0.5, 0.5, 0.5, 0.5], "badx"), "b": asked([0.0] * 4)})
    # The expert of a scored 50; b is the last task; c has no partner and d no score.
    assert differences_of(mine, theirs, "rouge_l") == [[[100.0, 0.0]]]
    assert differences_of(record(), theirs, "rouge_l") == []
    losses = {"metrics": {"rouge_l": {"unit": "nats", "better": "lower"}}}
    mine, theirs = ({**one, **losses} for one in (mine, theirs))
    assert differences_of(mine, theirs, "rouge_l") == [[[-0.5, 0.0]]]


def test_methods_with_experts_of_their_own_differ_by_their_relative_gains() -> None:
    scores = {"a": ([1.0, 0.5, 0.25, 0.0], [0.5, 0.5, 1.0, 0.5])}
    uppers = [50.0, 90.0], [80.0, 60.0]
    mine, theirs = (
        record(
            "inscl" if k == 0 else "random",
            questions={"a": asked(scores["a"][k]), "b": asked([1.0] * 4)},
            experts={"rouge_l": upper},
        )
        for k, upper in enumerate(uppers)
    )
    found = nested_bootstrap([differences_of(mine, theirs, "rouge_l")])
    assert found is not None
    gains = [100 * 100 * np.mean(scores["a"][k]) / uppers[k][0] for k in (0, 1)]
    assert found.mean == pytest.approx(gains[0] - gains[1])
    # Nothing is a share of an expert that scored 0, whoever's it is.
    assert differences_of(mine, {**theirs, "experts": {"rouge_l": [0.0, 60.0]}}, "rouge_l") == []


def test_the_mean_is_that_of_tasks_and_of_seeds() -> None:
    seeds = [[[[1.0, 3.0], [8.0]], [[0.0]]], [[[6.0]], [[0.0], [2.0]]]]
    found = nested_bootstrap(seeds)
    assert found is not None
    assert (found.mean, found.seeds, found.questions) == (pytest.approx(((4 + 0) / 2 + (6 + 1) / 2) / 2), 2, 7)
    assert nested_bootstrap([[], []]) is None


def test_the_interval_holds_a_known_truth_where_scatter_is_of_seeds_instructions_and_questions() -> None:
    """Each level scatters by itself; an interval of questions alone would be much too narrow."""
    rng = np.random.default_rng(4)
    held, naive = [], []
    for _ in range(250):
        seeds = []
        for _ in range(12):
            shift = rng.normal(0, 2)
            tasks = []
            for _ in range(2):
                groups = [rng.normal(5 + shift + rng.normal(0, 3), 4, 5).tolist() for _ in range(6)]
                tasks.append(groups)
            seeds.append(tasks)
        found = nested_bootstrap(seeds, resamples=300)
        assert found is not None
        held.append(found.interval.low <= 5 <= found.interval.high)
        flat = np.array(seeds).ravel()
        naive.append(abs(flat.mean() - 5) < 1.96 * flat.std() / np.sqrt(len(flat)))
    assert np.mean(held) > 0.91
    assert np.mean(naive) < 0.7


def test_the_same_questions_always_get_the_same_interval() -> None:
    seeds = [[[[1.0, 2.0], [4.0]]], [[[0.0], [3.0]]]]
    assert nested_bootstrap(seeds) == nested_bootstrap(seeds)
