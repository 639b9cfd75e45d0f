"""An adapter: the norms of a model are trained, and nothing else."""

from __future__ import annotations

from typing import Any


class Norms:
    """Train the weights of the model's norms alone.

    Args:
        also: Part of the name of further weights to train.
    """

    keeps_base = False
    starts_fresh = False
    merges = False

    def __init__(self, also: str = "norm") -> None:
        self.also = also

    def wrap(self, model: Any, base_name: str, stage: int = 1) -> Any:
        for name, weight in model.named_parameters():
            weight.requires_grad_("norm" in name or self.also in name)
        return model

    def callbacks(self) -> list[Any]:
        return []

    def to_json(self) -> dict[str, Any]:
        return {"kind": "norms", "also": self.also}
