"""Divergences of next-token distributions, a number for each position, with gradients."""

from __future__ import annotations

import math
from typing import Any

__all__ = ["jensen_shannon", "kullback_leibler", "to_one_hot"]


def kullback_leibler(p: Any, q: Any) -> Any:
    r"""The divergence of q from p, :math:`KL(p \| q) = \sum_v p_v (\ln p_v - \ln q_v)`.

    Args:
        p: Logits, shape (m, vocabulary).
        q: Likewise.

    Returns:
        Shape (m,), nats.
    """
    log_p, log_q = p.log_softmax(-1), q.log_softmax(-1)
    return (log_p.exp() * (log_p - log_q)).sum(-1)


def jensen_shannon(p: Any, q: Any) -> Any:
    r"""The Jensen-Shannon divergence :math:`\frac12 KL(p \| m) + \frac12 KL(q \| m)`, :math:`m = \frac12 (p + q)`.

    Args:
        p: Logits, shape (m, vocabulary).
        q: Likewise.

    Returns:
        Shape (m,), nats; from 0 to ln 2.
    """
    import torch

    log_p, log_q = p.log_softmax(-1), q.log_softmax(-1)
    log_m = torch.logaddexp(log_p, log_q) - math.log(2)
    return ((log_p.exp() * (log_p - log_m)).sum(-1) + (log_q.exp() * (log_q - log_m)).sum(-1)) / 2


def to_one_hot(log_p: Any, share: float) -> Any:
    r"""The generalised Jensen-Shannon divergence of a distribution p from the one-hot target, scaled.

    .. math:: \frac{\pi KL(e_y \| m) + (1 - \pi) KL(p \| m)}{-(1 - \pi) \ln(1 - \pi)}, \quad m = \pi e_y + (1 - \pi) p

    with :math:`\pi` the share. It goes to the cross entropy :math:`-\ln p_y` as the share goes to 0, and is bounded
    (Englesson & Azizpour 2021, arXiv:2105.04522). Only :math:`p_y` enters: with :math:`m_y = \pi + (1 - \pi) p_y`,

    .. math:: KL(e_y \| m) = -\ln m_y, \quad KL(p \| m) = p_y \ln \frac{p_y}{m_y} - (1 - p_y) \ln(1 - \pi)

    Args:
        log_p: :math:`\ln p_y`, shape (m,).
        share: Above 0 and below 1.

    Returns:
        Shape (m,), nats.
    """
    p_y = log_p.exp()
    log_m = (share + (1 - share) * p_y).log()
    rest = math.log(1 - share)
    of_target, of_model = -log_m, p_y * (log_p - log_m) - (1 - p_y) * rest
    return (share * of_target + (1 - share) * of_model) / (-(1 - share) * rest)
