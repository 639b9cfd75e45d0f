from __future__ import annotations

from typing import Any

import numpy as np
import scipy.stats

from bench.cells import grid, record
from inscl.bench.numbers.power import detectable, pairs_needed
from inscl.bench.show.power_lines import power_lines


def test_every_budget_says_what_its_pairs_can_show() -> None:
    text = "\n".join(power_lines(grid()))
    # Final Relative Gain is twice the last score: 16 and 4 points, and twice a tenth of the shifts -1, 0 and 1.5 more.
    for budget, mean in ((2, 16.0), (20, 4.0)):
        differences = [mean + 0.2 * shift for shift in (-1.0, 0.0, 1.5)]
        sd = float(np.std(differences, ddof=1))
        assert f"inscl, per_task {budget}: {np.mean(differences):+.1f}, deviation {sd:.1f}" in text
        assert f"3 pairs can show {detectable(sd, 3):.1f} (" in text
        assert f"3 points would take {pairs_needed(sd, 3.0)} pairs" in text
    # Joint training has no budget, so it stands beside each of the reference's.
    assert "joint, per_task 2: +" in text
    assert "these records hold no questions" in text


def test_looks_and_questions_are_told() -> None:
    def asked(score: float) -> dict[str, Any]:
        return {"a": {"ids": list("xyz"), "instructions": [0, 0, 1], "scores": {"rouge_l": [score, 0.5, score]}}}

    records = [
        record(method, seed=seed, questions=asked(score))
        for seed in range(2)
        for method, score in (("random", 0.25), ("inscl", 0.5))
    ]
    text = "\n".join(power_lines(records, looks=4))
    assert "each of 4 looks at 1.2 %" in text
    assert "by 6 questions: +33.3 points (95 % +" in text


def test_each_look_has_intervals_at_its_own_level() -> None:
    gains = (40, 44, 50)
    records = [
        record(method, last, seed=seed)
        for seed, gain in enumerate(gains)
        for method, last in (("random", 40), ("inscl", gain))
    ]
    differences = 2.0 * (np.array(gains) - 40)  # an expert of 50 makes each point of the score two
    half = scipy.stats.t.ppf(0.9875, 2) * scipy.stats.sem(differences)
    low, high = differences.mean() - half, differences.mean() + half
    text = "\n".join(power_lines(records, looks=2))
    assert f"at this look's level, 97.5 %: {low:+.1f} to {high:+.1f} (t), +0.0 to +20.0 (bootstrap)" in text
    assert "at this look's level" not in "\n".join(power_lines(records))


def test_pairs_that_are_too_few_or_undefined_are_told() -> None:
    assert any(
        "+4.0 of 1 pair; power needs two or more" in line for line in power_lines([record(), record("inscl", 42.0)])
    )
    bare = [record(method, experts={"rouge_l": [None, None]}) for method in ("random", "inscl")]
    assert any("undefined in every pair" in line for line in power_lines(bare))


def test_pairs_that_all_differ_by_the_same_tell_nothing_of_others() -> None:
    records = [record(method, last, seed=seed) for seed in range(3) for method, last in (("random", 40), ("inscl", 41))]
    assert any("+2.0 in each of 3 pairs; how far" in line for line in power_lines(records))
