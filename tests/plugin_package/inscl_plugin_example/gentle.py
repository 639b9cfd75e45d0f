"""An objective: replayed examples count less."""

from __future__ import annotations

from typing import Any

from inscl.contract.objective import IGNORED, ObjectiveBatch


class Gentle:
    """Cross entropy on the answers in which replayed examples count less.

    Args:
        replayed: What a replayed example counts beside a new one.
    """

    def __init__(self, replayed: float = 0.5) -> None:
        self.replayed = replayed

    def __call__(self, batch: ObjectiveBatch) -> Any:
        import torch

        each = torch.nn.functional.cross_entropy(batch.logits, batch.labels, ignore_index=IGNORED, reduction="none")
        scale = torch.tensor([self.replayed if example.replayed else 1.0 for example in batch.examples])
        return (each * batch.weights * scale.to(each.device)[batch.owners]).sum()
