"""A workspace: a run that keeps growing."""

from __future__ import annotations

from inscl.workspace.workspace import Workspace

__all__ = ["Workspace"]
