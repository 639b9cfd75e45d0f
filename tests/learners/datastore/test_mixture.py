from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from inscl.learners.datastore.mixture import UNKNOWN, best_mixture
from inscl.learners.datastore.neighbours import Neighbours
from inscl.learners.datastore.store import Reference


def search(keys: NDArray[np.float32]) -> Neighbours:
    return Neighbours(keys, 2, 1, 5.0)


def references(seed: int, count: int = 9, alone: float = -2.0) -> list[Reference]:
    rng = np.random.default_rng(seed)
    found = []
    for k in range(count):
        keys = rng.normal(size=(3, 2)).astype(np.float32)
        nats = (alone * rng.random(3)).astype(np.float32)
        found.append(Reference("t", f"{rng.integers(1 << 30):x}{k}", "a", keys, rng.integers(0, 2, size=3), nats))
    return found


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("held_out", [1, 3, 100])
def test_it_is_the_weight_under_which_held_out_answers_are_most_likely(seed: int, held_out: int) -> None:
    kept = sorted(references(seed), key=lambda one: one.id)
    count = min(held_out, 4)
    rest = [(key, value) for one in kept[count:] for key, value in zip(one.keys, one.values, strict=True)]
    totals = []
    for weight in np.arange(0, 1, 0.05):
        total = 0.0
        for one in kept[:count]:
            for key, value, nats in zip(one.keys, one.values, one.log_probabilities, strict=True):
                near = sorted((float(((key - other) ** 2).sum()), token) for other, token in rest)[:2]
                shares = np.exp([-distance / 5.0 for distance, _ in near])
                right = sum(share for share, (_, token) in zip(shares, near, strict=True) if token == value)
                total += np.log(max(weight * right / shares.sum() + (1 - weight) * np.exp(nats), 1e-300))
        totals.append(total)
    found = best_mixture(references(seed)[::-1], held_out, search)
    assert found == pytest.approx(0.05 * int(np.argmax(totals)))


def test_a_sure_model_is_left_alone_and_a_wrong_one_overruled() -> None:
    same = [
        Reference("t", str(k), "a", np.ones((1, 2), np.float32), np.ones(1, np.int64), np.zeros(1, np.float32))
        for k in range(6)
    ]
    assert best_mixture(same, 3, search) == 0
    wrong = [Reference("t", one.id, "a", one.keys, one.values, one.log_probabilities - 20) for one in same]
    assert best_mixture(wrong, 3, search) == pytest.approx(0.95)


def test_an_example_is_held_out_with_its_rotations() -> None:
    own = references(3, 6)
    keys = own[0].keys
    # Rotations whose keys are those of their example: a vote from one's own rotation would be right every time.
    turned = [replace(one, turn=turn) for one in own for turn in (1, 2)]
    seen: list[int] = []

    def watched(known: NDArray[np.float32]) -> Neighbours:
        seen.append(len(known))
        return Neighbours(known, 2, 1, 5.0)

    best_mixture([*own, *turned], 3, watched)
    assert seen == [3 * 3 * len(keys)]
    assert best_mixture([own[0], *(one for one in turned if one.id == own[0].id)], 3, watched) == UNKNOWN


def test_too_few_to_hold_some_out() -> None:
    assert best_mixture(references(0, 1), 5, search) == UNKNOWN
