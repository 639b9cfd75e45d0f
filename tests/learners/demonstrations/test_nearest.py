from __future__ import annotations

from itertools import pairwise

import numpy as np

from inscl.learners.demonstrations.nearest import by_nearness


def test_the_order_is_that_of_the_cosines_and_ties_go_to_the_first() -> None:
    rng = np.random.default_rng(0)
    questions, candidates = rng.normal(size=(7, 5)).astype(np.float32), rng.normal(size=(20, 5)).astype(np.float32)
    candidates[13] = 2 * candidates[4]
    found = by_nearness(questions, candidates)
    for question, order in zip(questions, found, strict=True):
        cosines = [float(question @ one) / float(np.linalg.norm(question) * np.linalg.norm(one)) for one in candidates]
        ranked = [cosines[place] for place in order]
        assert all(earlier >= later - 2e-6 for earlier, later in pairwise(ranked))
        assert list(order).index(4) + 1 == list(order).index(13)


def test_rounding_errors_of_an_embedder_decide_nothing() -> None:
    question, candidates = np.ones((1, 3), dtype=np.float32), np.ones((4, 3), dtype=np.float32)
    candidates[2, 0] += 1e-7
    candidates[1, 0] -= 1e-7
    assert by_nearness(question, candidates).tolist() == [[0, 1, 2, 3]]
