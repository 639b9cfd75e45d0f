from __future__ import annotations

import numpy as np
import pytest

from inscl.embedding.nearness import by_nearness, likeness, principal_components


def test_the_order_is_that_of_cosines_and_ties_go_to_the_first() -> None:
    rng = np.random.default_rng(0)
    questions, candidates = (rng.normal(size=(count, 5)).astype(np.float32) for count in (3, 7))
    candidates[4] = candidates[2] * 3
    candidates[5] = 0
    norms = np.linalg.norm(questions, axis=1)[:, None] * np.maximum(np.linalg.norm(candidates, axis=1), 1e-9)[None]
    cosines = questions @ candidates.T / norms
    assert likeness(questions, candidates) == pytest.approx(cosines, abs=1e-6)
    for row, order in zip(cosines, by_nearness(questions, candidates), strict=True):
        assert list(order) == sorted(range(7), key=lambda k: (-round(float(row[k]), 5), k))


def test_principal_components_keep_the_directions_of_most_variance() -> None:
    """Against the eigenvectors of the covariance."""
    rng = np.random.default_rng(1)
    vectors = (rng.normal(size=(40, 6)) * [9, 1, 5, 0.1, 0.2, 0.3] + 100).astype(np.float32)
    others = rng.normal(size=(3, 6)).astype(np.float32)
    values, axes = np.linalg.eigh(np.cov(vectors.astype(np.float64).T))
    axes = axes[:, np.argsort(-values)[:2]]
    for some in (vectors, others):
        found = principal_components(vectors, 2)(some)
        assert found.shape == (len(some), 2)
        assert np.abs(found) == pytest.approx(np.abs((some - vectors.mean(0)) @ axes), rel=1e-3, abs=1e-3)
    # All directions that there are keep every distance.
    whole = principal_components(vectors, 512)(vectors)
    assert np.linalg.norm(whole[3] - whole[8]) == pytest.approx(np.linalg.norm(vectors[3] - vectors[8]), rel=1e-4)


@pytest.mark.parametrize("count", [1, 4])
def test_vectors_that_do_not_differ_have_no_components(count: int) -> None:
    vectors = np.full((count, 3), 2.5, dtype=np.float32)
    assert not principal_components(vectors, 512)(vectors).any()


def test_a_vector_at_the_mean_is_like_nothing() -> None:
    """Its rounding errors point somewhere."""
    vectors = np.array([[0.1, 0.7, 3], [0.2, 0.4, 3], [0.3, 0.1, 3]], dtype=np.float32)
    project = principal_components(vectors, 3)
    assert likeness(project(vectors[:1]), project(vectors))[0] == pytest.approx([1, 0, -1])
