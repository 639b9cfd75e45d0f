"""A workspace that keeps soft targets: they go with a stage that is rolled back, and with examples that are erased."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from inscl import Workspace
from inscl.learners.kept_targets import FILE, KeptTargets
from inscl.storage.files.atomic import read_json

CHANGES = (
    "training.learner=fine_tune",
    "training.objective=soft_targets",
    "training.epochs=1",
    "model.precision=fp32",
    "replay.strategy=random",
    "replay.budget.per_task=3",
    "evaluation.metrics=[answer_loss]",
)


@pytest.fixture
def taught(tmp_path: Path, tiny_model: Path, data: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> Workspace:
    monkeypatch.setenv("INSCL_CACHE", str(tmp_path / "cache"))
    workspace = Workspace.init(tmp_path / "ws", str(tiny_model), changes=CHANGES)
    for name in ("upper", "backwards"):
        workspace.learn(data(name, rows=8))
    return workspace


def tasks_of(folder: Path) -> set[str]:
    return {task for task, _ in KeptTargets.read(folder)._kept}


def test_they_are_replayed_rolled_back_and_erased(taught: Workspace, data: Callable[..., Path]) -> None:
    first, second = (taught.path / "stages" / name for name in ("01-upper", "02-backwards"))
    assert tasks_of(first / "model") == {"upper"}
    assert tasks_of(second / "model") == {"upper", "backwards"}
    assert read_json(second / "learn.json")["facts"]["soft_targets"] == {"replayed": 3, "without": 0}
    taught.rollback(1)
    taught.learn(data("length", rows=8))
    third = taught.path / "stages" / "02-length"
    assert tasks_of(third / "model") == {"upper", "length"}
    weights = (third / "model" / "adapter_model.safetensors").read_bytes()
    done = taught.erase("upper")
    assert tasks_of(first / "model") == set()
    assert tasks_of(third / "model") == {"length"}
    discarded = [file.parent for file in taught.path.glob(f"discarded/**/{FILE}")]
    assert [tasks_of(folder) for folder in discarded] == [{"backwards"}]
    assert (third / "model" / "adapter_model.safetensors").read_bytes() == weights
    # The weights have seen the examples, which no deletion undoes.
    assert [(one.task, one.how) for one in done.trained if one.discarded is None] == [
        ("upper", "learned"),
        ("length", "replayed"),
    ]
    assert taught.status().problems == ()
    taught.learn(data("backwards", rows=8), name="again")
    assert tasks_of(taught.path / "stages" / "03-again" / "model") == {"length", "again"}
