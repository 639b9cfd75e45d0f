"""The usual loss of instruction tuning: cross entropy on the answer alone."""

from __future__ import annotations

from typing import Any

from inscl.contract.objective import IGNORED, ObjectiveBatch
from inscl.contract.traits import ObjectiveTraits

__all__ = ["AnswerObjective"]


class AnswerObjective:
    r"""Cross entropy of the answer's tokens, prompts left aside (InsCL, released code).

    .. math:: L = -\sum_i w_i \sum_t \ln p(y_{i,t} \mid x_i, y_{i,<t})

    with :math:`w_i` the weight of example i: 1 for a new one, its pick's for a replayed one.
    """

    traits = ObjectiveTraits(sums_examples=True)

    def __call__(self, batch: ObjectiveBatch) -> Any:
        """The summed loss, nats."""
        from torch.nn.functional import cross_entropy

        if all(example.weight == 1 for example in batch.examples):
            return cross_entropy(batch.logits, batch.labels, ignore_index=IGNORED, reduction="sum")
        each = cross_entropy(batch.logits, batch.labels, ignore_index=IGNORED, reduction="none")
        return (each * batch.weights).sum()
