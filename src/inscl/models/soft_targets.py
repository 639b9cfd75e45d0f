"""The likeliest tokens at each position of given answers: what is kept of a model to be taught from later."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from inscl.contract.objective import SoftTargets
from inscl.models.likelihoods import of_answers
from inscl.models.prompts import Encoded

__all__ = ["soft_targets"]


def soft_targets(
    model: Any, examples: Sequence[Encoded], count: int, *, batch_size: int, pad_token: int
) -> list[SoftTargets]:
    """The `count` likeliest tokens at each position of each answer, end of sequence included, in one forward pass.

    Args:
        model: As for `inscl.models.likelihoods.log_likelihoods`.
        examples: Prompts with their answers; earlier answers inside a prompt are read and not counted.
        count: At least 1; at least one token of the vocabulary is always left out.
        batch_size: Most examples at a time.
        pad_token: What fills the left; masked, so any token will do.

    Returns:
        One for each example, in order.
    """

    def likeliest(logits: Any, at: Any, _: Any, counts: list[int]) -> list[SoftTargets]:
        known = logits.float().log_softmax(-1)[at]
        best = known.topk(min(count, known.shape[1] - 1), dim=-1)
        tokens, nats = best.indices.int().cpu().split(counts), best.values.cpu().split(counts)
        # Copies, since a piece of a batch would keep the whole batch in memory.
        return [
            SoftTargets(own.numpy().copy(), of_own.numpy().copy()) for own, of_own in zip(tokens, nats, strict=True)
        ]

    return of_answers(model, examples, batch_size, pad_token, likeliest)
