"""Divergences against scipy's sums over whole distributions."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon
from scipy.special import rel_entr, softmax

from inscl.models.objectives.divergences import jensen_shannon, kullback_leibler, to_one_hot

RNG = np.random.default_rng(0)
P, Q = RNG.normal(size=(4, 9)) * 3, RNG.normal(size=(4, 9)) * 3


def test_kullback_leibler_and_jensen_shannon_are_scipys() -> None:
    import torch

    p, q = softmax(P, axis=1), softmax(Q, axis=1)
    found = kullback_leibler(torch.tensor(P), torch.tensor(Q)).numpy()
    np.testing.assert_allclose(found, rel_entr(p, q).sum(1))
    found = jensen_shannon(torch.tensor(P), torch.tensor(Q)).numpy()
    np.testing.assert_allclose(found, jensenshannon(p, q, axis=1) ** 2)
    far = jensen_shannon(torch.tensor([[800.0, 0.0]]), torch.tensor([[0.0, 800.0]]))
    assert float(far[0]) == pytest.approx(np.log(2))


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_the_closed_form_against_one_hot_targets_is_the_sum_over_the_vocabulary(share: float) -> None:
    import torch

    p, target = softmax(P, axis=1), np.eye(9)[[0, 3, 3, 8]]
    mixed = share * target + (1 - share) * p
    wanted = share * rel_entr(target, mixed).sum(1) + (1 - share) * rel_entr(p, mixed).sum(1)
    log_p = torch.tensor(np.log(p[target == 1]))
    np.testing.assert_allclose(to_one_hot(log_p, share).numpy(), wanted / -((1 - share) * np.log(1 - share)))


def test_with_a_small_share_it_is_the_cross_entropy() -> None:
    import torch

    log_p = torch.tensor([-0.1, -2.0, -5.0], dtype=torch.float64)
    np.testing.assert_allclose(to_one_hot(log_p, 1e-6).numpy(), -log_p.numpy(), rtol=1e-3)
