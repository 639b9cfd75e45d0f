from __future__ import annotations

import re
from collections.abc import Callable
from importlib.metadata import EntryPoint
from importlib.resources import files
from pathlib import Path

import pytest
import yaml

from inscl.config import kinds
from inscl.config.loading import load_config
from inscl.contract.seams import NullProgress
from inscl.contract.traits import LearnerTraits
from inscl.demonstration import _TimeLeft, run_demo
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
    left = re.findall(r"about (\d+):(\d\d) left of the whole demo", done.stderr)
    assert len(left) >= 6  # from the second stage of the first run to the last of the second
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


class Told(NullProgress):
    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, message: str) -> None:
        self.notes.append(message)


def test_the_time_left_is_that_of_the_work_left(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr("inscl.demonstration.time.monotonic", lambda: clock[0])
    settings = yaml.safe_load((files("inscl") / "demo.yaml").read_text(encoding="utf-8"))
    small = [
        "stream.train_per_task=90",
        "stream.test_per_task=30",
        "evaluation.between=15",
        "replay.budget.per_task=10",
    ]
    runs = [load_config(settings, [*small, f"replay.strategy={name}"]) for name in ("none", "inscl")]
    told = Told()
    both = _TimeLeft(told, runs)
    both.stage(1, 2, "one")
    assert told.notes == []
    clock[0] += 50  # 90 taught and 30 asked: half a second for each of 100
    both.stage(2, 2, "two")
    clock[0] += 100  # 90 taught and 60 asked: 110
    both.run = 1
    both.stage(1, 2, "one")  # is copied
    clock[0] += 7
    both.stage(2, 2, "two")  # ten replayed: 120
    # 110 and 120 at half a second; then 120 at 150 seconds for 210.
    assert told.notes == ["about 1:55 left of the whole demo", "about 1:26 left of the whole demo"]
