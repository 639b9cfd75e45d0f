"""A learner without a model that other processes find by its name, and that a test can hold in the middle of a run."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from inscl.contract import Task
from inscl.contract.plan import ReplayPlan
from inscl.contract.seams import LearnReport
from plugin_package.inscl_plugin_example.parrot import Parrot
from streams import toy_config, toy_stream

TESTS = Path(__file__).parents[1]


class Patient(Parrot):
    """The parrot of the guide, which learns a task named `task` only once there is a file `until`.

    Args:
        room: How many answers it can hold.
        task: The task that it waits at; empty for none.
        until: What it waits for.
    """

    def __init__(self, room: int = 20, task: str = "", until: str = "") -> None:
        super().__init__(room=room)
        self.task, self.until = task, until

    def learn(self, task: Task, plan: ReplayPlan) -> LearnReport:
        deadline = time.monotonic() + 120
        while task.name == self.task and not Path(self.until).exists():
            assert time.monotonic() < deadline, f"nobody made {self.until}"
            time.sleep(0.05)
        return super().learn(task, plan)


def declare_patient(folder: Path, patch: pytest.MonkeyPatch) -> None:
    """Let this process, and those that it starts, know the learner ``patient``, as if its package were installed."""
    facts = folder / "site" / "patient-1.dist-info"
    facts.mkdir(parents=True)
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: patient\nVersion: 1\n")
    (facts / "entry_points.txt").write_text("[inscl.learners]\npatient = bench.patient:Patient\n")
    patch.setenv("PYTHONPATH", f"{folder / 'site'}:{TESTS}")
    patch.syspath_prepend(str(TESTS))
    patch.syspath_prepend(str(folder / "site"))
    patch.setenv("INSCL_CACHE", str(folder / "cache"))


def patient_grid(folder: Path, **params: Any) -> dict[str, Any]:
    """A grid of two methods, two seeds and experts that takes seconds; `params` are the learner's."""
    model = folder / "no-model"
    model.mkdir(exist_ok=True)
    (model / "config.json").write_text("{}")
    (model / "model.safetensors").write_bytes(b"")
    shared = toy_config(toy_stream(folder / "a stream"), model, folder / "unused")
    del shared["model"]["adapter"]
    shared["training"] = {"learner": "patient", "params": params}
    shared["evaluation"].update(base=True, experts=True)
    return {"run": shared, "methods": ["none", "random"], "seeds": [0, 1], "output_dir": str(folder / "gri d")}
