"""Results of a workspace's commands: plain values, ready for JSON."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

__all__ = ["Plain"]


class Plain:
    """A dataclass of plain values."""

    def to_json(self) -> dict[str, Any]:
        """Plain values, keys as the attributes."""
        return asdict(self)  # type: ignore[call-overload, no-any-return]
