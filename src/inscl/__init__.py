"""Teach a language model one task after another, and limit how much it forgets.

The calls that other programs rely on: `load_stream`, `plan_replay`, `run`, and the modules `transport`, `replay`,
`tagging` and `metrics`. Everything is imported when first used; nothing here loads torch before a model is needed.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from inscl import metrics, replay, tagging, transport
    from inscl.config.loading import load_config
    from inscl.config.settings import RunConfig
    from inscl.contract import Example, Memory, Stream, Task
    from inscl.contract.budget import Budget
    from inscl.contract.plan import ReplayPlan
    from inscl.data import load_stream
    from inscl.errors import InsclError
    from inscl.pipeline import Run, run
    from inscl.planning.plan import plan_replay, plan_stream
    from inscl.reports import write_report
    from inscl.workspace import Workspace

__all__ = [
    "Budget",
    "Example",
    "InsclError",
    "Memory",
    "ReplayPlan",
    "Run",
    "RunConfig",
    "Stream",
    "Task",
    "Workspace",
    "load_config",
    "load_stream",
    "metrics",
    "plan_replay",
    "plan_stream",
    "replay",
    "run",
    "tagging",
    "transport",
    "write_report",
]

__version__ = "0.1.0"

# Threads of torch that wait for each other sleep instead of spinning: beside another busy process they would otherwise
# burn the core that the slowest of them needs. OpenMP reads this once, when torch is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

_HOMES = {
    "Budget": "contract.budget",
    "Example": "contract",
    "InsclError": "errors",
    "Memory": "contract",
    "ReplayPlan": "contract.plan",
    "Run": "pipeline",
    "RunConfig": "config.settings",
    "Stream": "contract",
    "Task": "contract",
    "Workspace": "workspace",
    "load_config": "config.loading",
    "load_stream": "data",
    "plan_replay": "planning.plan",
    "plan_stream": "planning.plan",
    "run": "pipeline",
    "write_report": "reports",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"inscl.{_HOMES[name]}"), name)
    if name in __all__:
        return import_module(f"inscl.{name}")
    raise AttributeError(f"module 'inscl' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
