"""No adapter: every weight is trained."""

from __future__ import annotations

from typing import Any

__all__ = ["FullFineTuning"]


class FullFineTuning:
    """Train all weights of the model, in float32."""

    keeps_base = False
    starts_fresh = False
    merges = False

    def wrap(self, model: Any, base_name: str, stage: int = 1) -> Any:
        """The model as it is."""
        return model

    def callbacks(self) -> list[Any]:
        """None."""
        return []

    def to_json(self) -> dict[str, Any]:
        """As in a configuration."""
        return {"kind": "none"}
