from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from inscl.config import kinds
from inscl.contract.traits import LearnerTraits
from inscl.demonstration import run_demo
from inscl.errors import ConfigError
from typed import Done
from workspace.stub import Stub


class NoReplayTaken(Stub):
    """A learner that only the first of the two runs can have."""

    traits = LearnerTraits(saves=True, replays=False)


def test_both_runs_are_printed_and_drawn(inscl: Callable[..., Done], tmp_path: Path, tiny_model: Path) -> None:
    small = ("stream.train_per_task=8", "stream.test_per_task=4", f"model.name={tiny_model}", "replay.embedder=ngrams")
    done = inscl("demo", "--out", tmp_path / "demo", *(word for change in small for word in ("--set", change)))
    assert done.returncode == 0, done.stderr
    assert "No Replay" in done.stdout
    assert "InsCL" in done.stdout
    assert "route_message" in done.stdout
    assert (tmp_path / "demo" / "report.html").exists()
    assert (tmp_path / "demo" / "none" / "metrics.json").exists()


def test_both_configurations_are_checked_before_the_first_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entries, entry = kinds._entries, EntryPoint("alone", f"{__name__}:NoReplayTaken", "inscl.learners")
    monkeypatch.setattr(
        kinds, "_entries", lambda kind: {**entries(kind), **({"alone": entry} if kind == "learners" else {})}
    )
    with pytest.raises(ConfigError, match="alone takes no replay, but inscl replays"):
        run_demo(tmp_path / "demo", overrides=["training.learner=alone", "stream.train_per_task=8"])
    assert not (tmp_path / "demo").exists()
