"""A workspace: a run that keeps growing. Learn, look, go back, hand over."""

from __future__ import annotations

from inscl.workspace.workspace import Workspace

__all__ = ["Workspace"]
