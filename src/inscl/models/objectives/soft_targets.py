"""Replayed examples taught with what the model held likely when their task had been learned."""

from __future__ import annotations

from typing import Any

from inscl.contract.objective import IGNORED, ObjectiveBatch, TaughtExample
from inscl.contract.traits import ObjectiveTraits
from inscl.errors import ConfigError, Problem

__all__ = ["SoftTargetObjective"]


class SoftTargetObjective:
    r"""Cross entropy, in part replaced on replayed examples by the divergence from stored soft targets.

    .. math:: L = \sum_i w_i \sum_t \Big( (1 - \alpha_i)\,(-\ln p(y_{i,t}))
        + \alpha_i \, KL\big(q_{i,t} \| p_{i,t}\big) \Big)

    with :math:`\alpha_i` the share for a replayed example whose targets were kept, and 0 for all others.
    :math:`q_{i,t}` is what the model held likely when the example's task had just been learned: the k likeliest tokens,
    and all others together as one outcome, so that KL has k + 1 terms. It is at most the divergence over the whole
    vocabulary. The outputs of an earlier time as targets beside the labels are those of Dark Experience Replay (Buzzega
    et al. 2020, arXiv:2004.07211), which compares logits by their squared differences; the k likeliest tokens, the
    divergence and the share are ours. Unlike ``distil``, the teacher doesn't forget with the model, and no example is
    read a second time.

    Args:
        share: :math:`\alpha`, above 0 and at most 1; 1 leaves the labels of replayed examples out.
        top: k, how many tokens are kept at each position; at least 1.

    Raises:
        ConfigError: A value is out of range.
    """

    traits = ObjectiveTraits(sums_examples=True, soft_targets=16)

    def __init__(self, share: float = 0.5, top: int = 16) -> None:
        whole = isinstance(top, int) and not isinstance(top, bool)
        ranges = (
            ("share", 0 < share <= 1, f"must be above 0 and at most 1, got {share!r}"),
            ("top", whole and top >= 1, f"must be a whole number of 1 or more, got {top!r}"),
        )
        if problems := [Problem(key, said) for key, good, said in ranges if not good]:
            raise ConfigError(problems, "objective soft_targets")
        self.share = share
        self.traits = ObjectiveTraits(sums_examples=True, soft_targets=top)

    def __call__(self, batch: ObjectiveBatch) -> Any:
        """The summed loss, nats."""
        from torch.nn.functional import cross_entropy

        each = cross_entropy(batch.logits, batch.labels, ignore_index=IGNORED, reduction="none")
        for k, taught in enumerate(batch.examples):
            if taught.soft is None:
                continue
            rows = _answer_rows(batch, k, len(taught.soft.tokens))
            soft = _divergence(batch.logits[rows], taught)
            each = each.index_copy(0, rows, (1 - self.share) * each[rows] + self.share * soft)
        return (each * batch.weights).sum()


def _answer_rows(batch: ObjectiveBatch, k: int, count: int) -> Any:
    """Where in the batch the `count` tokens of the k-th example's last answer are predicted."""
    return ((batch.labels != IGNORED) & (batch.owners == k)).nonzero()[-count:, 0]


def _divergence(logits: Any, taught: TaughtExample) -> Any:
    """The divergence of the model from an example's soft targets at each position of its answer, shape (t,), nats."""
    import torch

    assert taught.soft is not None
    tokens = torch.from_numpy(taught.soft.tokens).to(logits.device).long()
    wanted = torch.from_numpy(taught.soft.log_probabilities).to(logits.device)
    whole = logits.logsumexp(-1, keepdim=True)
    among = logits.gather(1, tokens) - whole
    others = logits.scatter(1, tokens, float("-inf")).logsumexp(-1) - whole[:, 0]
    left = (1 - wanted.exp().sum(-1)).clamp(min=0)
    return (wanted.exp() * (wanted - among)).sum(-1) + torch.xlogy(left, left) - left * others
